// What a screen reader says without being asked: one polite region for the whole page. Nothing that ticks goes here.

const region = document.createElement("p");
region.className = "visually-hidden";
region.setAttribute("role", "status");
document.body.append(region);

/** Has `text` said, once the screen reader is done with what it says now. */
export function say(text) {
  if (region.textContent !== text) region.textContent = text;
}
