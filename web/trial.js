// A button that tries a connection, and the steps it took: what worked, and where it ended.

import { explain } from "./failures.js";
import { tryStream } from "./signalling.js";

const STEPS = {
  address: "Address",
  name: "Name",
  network: "Network",
  connection: "Connection",
  answer: "Answer",
  credentials: "User and password",
  stream: "Path",
  video: "Video",
  picture: "Picture",
};
const OUTCOMES = { passed: "worked", failed: "failed", not_reached: "not tried" };

export class Trial {
  #button;
  #result;
  #wanted;
  #asked = 0;

  /** wanted(): what to try, as tryStream takes it. result: an element with role status. A change in one of `inputs`
   *  takes the result away. */
  constructor({ button, result, inputs, wanted }) {
    this.#button = button;
    this.#result = result;
    this.#wanted = wanted;
    button.addEventListener("click", () => this.#run());
    for (const input of inputs) input.addEventListener("input", () => this.clear());
  }

  /** Forgets the result, also of what is being tried. */
  clear() {
    this.#asked += 1;
    this.#button.disabled = false;
    this.#show();
  }

  async #run() {
    this.clear();
    const asked = this.#asked;
    this.#button.disabled = true;
    this.#show(line("Trying. This can take some seconds."));
    let parts;
    try {
      parts = described(await tryStream(this.#wanted()));
    } catch (error) {
      const { title, advice } = explain(error);
      parts = [line(`${title}. ${advice}`)];
    }
    if (asked !== this.#asked) return;
    this.#button.disabled = false;
    this.#show(...parts);
  }

  #show(...parts) {
    this.#result.replaceChildren(...parts);
  }
}

function described({ works, steps }) {
  const list = document.createElement("ol");
  list.append(...steps.map(row));
  const verdict = line(works ? "It works." : "It does not work.");
  verdict.className = "trial-verdict";
  return [verdict, list];
}

function row({ step, outcome, detail }) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  const text = document.createElement("span");
  item.dataset.outcome = outcome;
  name.className = "trial-step";
  name.textContent = STEPS[step] ?? step;
  text.textContent = [OUTCOMES[outcome] ?? outcome, detail].filter(Boolean).join(": ");
  item.append(name, text);
  return item;
}

function line(text) {
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  return paragraph;
}
