// Where the keyboard goes when what had it goes away.

/** Takes a row out of its list. If the keyboard was in it, it goes on in the row after it, or before it, or at the
 *  heading of the section. */
export function removeRow(row) {
  const hadFocus = row.contains(document.activeElement);
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  const heading = row.closest("section")?.querySelector("h2");
  row.remove();
  if (!hadFocus) return;
  const next = neighbour?.querySelector("button:enabled") ?? heading;
  if (next === heading) heading?.setAttribute("tabindex", "-1");
  next?.focus();
}

/** Gives the keyboard to `element` if what had it before (`had`) cannot have it any more. */
export function goOnAt(element, had) {
  if (had?.closest("[hidden]") || had?.disabled || !had?.isConnected) element.focus();
}
