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
const OUTCOMES = { passed: "", failed: "failed", not_reached: "not tried" };

export class Trial {
  #button;
  #result;
  #wanted;
  #asked = 0;

  /** wanted(): what to try, as tryStream takes it. result: has a paragraph for the verdict and a list for the steps. A
   *  change in one of `inputs` takes the result away. */
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
    this.#show("Trying. This can take some seconds.");
    let verdict;
    let steps = [];
    try {
      const trial = await tryStream(this.#wanted());
      verdict = trial.works ? "It works." : `It does not work: ${trial.reason}`;
      steps = trial.steps;
    } catch (error) {
      const { title, advice } = explain(error);
      verdict = `${title}. ${advice}`;
    }
    if (asked !== this.#asked) return;
    this.#button.disabled = false;
    this.#show(verdict, steps);
  }

  /** The verdict alone is read out when it comes. */
  #show(verdict = "", steps = []) {
    this.#result.querySelector("p").textContent = verdict;
    this.#result.querySelector("ol").replaceChildren(...steps.map(row));
  }
}

function row({ step, outcome, detail }) {
  const item = document.createElement("li");
  const name = document.createElement("b");
  item.dataset.outcome = outcome;
  name.textContent = STEPS[step] ?? step;
  item.append(name, `: ${[OUTCOMES[outcome], outcome === "failed" ? "" : detail].filter(Boolean).join(", ")}`);
  return item;
}
