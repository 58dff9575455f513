// The form that adds a stream.

import { explain } from "./failures.js";

const KINDS = {
  demo: { name: "demo", needsSource: false },
  rtsp: { name: "camera", needsSource: true, label: "Address", placeholder: "rtsp://user:password@camera/stream" },
  file: { name: "recording", needsSource: true, label: "File name", placeholder: "street.mp4" },
};

export class AddForm {
  #find;
  #named = false;

  /** onAdd({name, source, mode, privacy}) adds the stream or throws Failure. */
  constructor(root, { onAdd }) {
    this.#find = (id) => root.getElementById(id);
    this.#find("add-kind").addEventListener("change", () => this.#showKind());
    this.#find("add-name").addEventListener("input", () => (this.#named = true));
    this.#find("add").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(onAdd);
    });
    this.#showKind();
  }

  get #kind() {
    return this.#find("add-kind").value;
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
  }

  async #submit(onAdd) {
    const typed = this.#find("add-source").value.trim();
    const source = { demo: "demo", rtsp: typed, file: typed.startsWith("file:") ? typed : `file:${typed}` }[this.#kind];
    const button = this.#find("add").querySelector("button");
    button.disabled = true;
    this.#find("add-error").textContent = "";
    try {
      const mode = this.#find("add-mode").value;
      const privacy = this.#find("add-privacy").checked;
      await onAdd({ name: this.#find("add-name").value.trim(), source, mode, privacy });
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
