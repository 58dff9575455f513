// A button that is pressed twice: the first press asks, the second does it.

import { say } from "./announce.js";

const CONFIRM_MS = 4000;

/** Calls `act` on the second press, unless too much time has passed since the first, which asks `question`. */
export function confirmed(button, act, question = "Really?") {
  const label = button.textContent;
  const name = button.getAttribute("aria-label") ?? label;
  let timer = 0;
  let busy = false; // not disabled meanwhile: that would take the keyboard away
  const show = (text, spoken) => {
    button.textContent = text;
    button.setAttribute("aria-label", spoken);
  };
  const disarm = () => {
    clearTimeout(timer);
    button.removeAttribute("data-armed");
    show(label, name);
  };
  button.addEventListener("click", async () => {
    if (busy) return;
    if (!button.hasAttribute("data-armed")) {
      button.setAttribute("data-armed", "");
      show(question, `${question} ${name}`);
      say(`${question} ${name}: press again within ${CONFIRM_MS / 1000} seconds`);
      timer = setTimeout(disarm, CONFIRM_MS);
      return;
    }
    clearTimeout(timer);
    busy = true;
    try {
      await act();
    } finally {
      busy = false;
      disarm();
    }
  });
}
