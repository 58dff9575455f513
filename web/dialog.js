// A dialog with a title and a button that closes it, at the end of the page.

import { element } from "./element.js";

/** Its parts: {dialog, title}. `body` is what it shows; `id` begins the ids of its parts. */
export function dialog(id, body) {
  const title = element("h2", { id: `${id}-title` });
  const close = element("button", { type: "button", id: `${id}-close` }, "Close");
  const made = element("dialog", { id, "aria-labelledby": title.id }, element("div.dialog-head", {}, title, close), body);
  close.addEventListener("click", () => made.close());
  document.body.append(made);
  return { dialog: made, title };
}
