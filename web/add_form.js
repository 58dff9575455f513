// The form that adds a stream.

import { explain } from "./failures.js";
import { Trial } from "./trial.js";

const KINDS = {
  demo: { name: "demo", needsSource: false },
  rtsp: { name: "camera", needsSource: true, label: "Address", placeholder: "rtsp://user:password@camera/stream" },
  file: { name: "recording", needsSource: true, label: "File name", placeholder: "street.mp4" },
};

export class AddForm {
  #find;
  #named = false;
  #trial;

  /** onAdd({name, source, mode, privacy}) adds the stream or throws Failure. */
  constructor(root, { onAdd }) {
    this.#find = (id) => root.getElementById(id);
    this.#find("add-kind").addEventListener("change", () => this.#showKind());
    this.#find("add-name").addEventListener("input", () => (this.#named = true));
    this.#trial = new Trial({
      button: this.#find("add-test"),
      result: this.#find("add-trial"),
      inputs: [this.#find("add-source")],
      wanted: () => ({ source: this.#source }),
    });
    this.#find("add").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(onAdd);
    });
    this.#showKind();
  }

  get #kind() {
    return this.#find("add-kind").value;
  }

  get #source() {
    const typed = this.#find("add-source").value.trim();
    return { demo: "demo", rtsp: typed, file: typed.startsWith("file:") ? typed : `file:${typed}` }[this.#kind];
  }

  #showKind() {
    const kind = KINDS[this.#kind];
    const source = this.#find("add-source");
    this.#find("add-source-field").hidden = !kind.needsSource;
    this.#find("add-source-label").textContent = kind.label ?? "";
    source.required = kind.needsSource;
    source.placeholder = kind.placeholder ?? "";
    if (!this.#named) this.#find("add-name").value = kind.name;
    this.#find("add-error").textContent = "";
    this.#find("add-test").hidden = !kind.needsSource;
    this.#trial.clear();
  }

  async #submit(onAdd) {
    const button = this.#find("add").querySelector("[type=submit]");
    button.disabled = true;
    this.#find("add-error").textContent = "";
    try {
      const mode = this.#find("add-mode").value;
      const privacy = this.#find("add-privacy").checked;
      await onAdd({ name: this.#find("add-name").value.trim(), source: this.#source, mode, privacy });
      this.#find("add-source").value = "";
      this.#named = false;
      this.#showKind();
    } catch (error) {
      const { title, advice } = explain(error);
      this.#find("add-error").textContent = advice || title;
    }
    button.disabled = false;
  }
}
