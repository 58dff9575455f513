// A button that is pressed twice: the first press asks, the second does it.

const CONFIRM_MS = 4000;

/** Calls `act` on the second press, unless too much time has passed since the first, which asks `question`. */
export function confirmed(button, act, question = "Really?") {
  const label = button.textContent;
  let timer = 0;
  const disarm = () => {
    clearTimeout(timer);
    button.removeAttribute("data-armed");
    button.textContent = label;
  };
  button.addEventListener("click", async () => {
    if (!button.hasAttribute("data-armed")) {
      button.setAttribute("data-armed", "");
      button.textContent = question;
      timer = setTimeout(disarm, CONFIRM_MS);
      return;
    }
    button.disabled = true;
    try {
      await act();
    } finally {
      button.disabled = false;
      disarm();
    }
  });
}
