// Tables of text. Knows nothing of what is in them.

/** A table; columns named in `numbers` are set right. */
export function tableOf(heads, rows, numbers = []) {
  const grid = document.createElement("table");
  const head = grid.createTHead().insertRow();
  for (const text of heads) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = text;
    cell.classList.toggle("number", numbers.includes(text));
    head.append(cell);
  }
  const body = grid.createTBody();
  for (const row of rows) {
    const cells = body.insertRow();
    for (const [column, text] of row.entries()) {
      const cell = cells.insertCell();
      cell.textContent = String(text);
      cell.classList.toggle("number", numbers.includes(heads[column]));
    }
  }
  return grid;
}
