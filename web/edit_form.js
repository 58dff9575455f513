// The dialog that changes a stream. The server never tells the address in full: what is hidden stays, or is written anew.

import { explain } from "./failures.js";
import { Trial } from "./trial.js";

export class EditForm {
  #dialog;
  #find;
  #trial;
  #stream = null;

  /** onChange(name, change) changes the stream or throws Failure. */
  constructor(root, { onChange }) {
    this.#find = (id) => root.getElementById(id);
    this.#dialog = this.#find("edit");
    this.#trial = new Trial({
      button: this.#find("edit-test"),
      result: this.#find("edit-trial"),
      inputs: [this.#find("edit-source")],
      wanted: () => ({ stream: this.#stream.name, source: this.#find("edit-source").value.trim() }),
    });
    this.#find("edit-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#trial.clear());
    this.#find("edit-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(onChange);
    });
  }

  /** stream: as the server lists it. */
  open(stream) {
    this.#stream = stream;
    this.#find("edit-title").textContent = `Edit ${stream.name}`;
    this.#find("edit-name").value = stream.name;
    this.#find("edit-source").value = stream.source;
    this.#find("edit-hint").hidden = !stream.source.includes("***");
    this.#find("edit-mode").value = stream.mode;
    this.#find("edit-privacy").checked = stream.privacy;
    this.#find("edit-record").checked = isRecorded(stream);
    this.#find("edit-error").textContent = "";
    this.#dialog.showModal();
    this.#find("edit-name").focus();
  }

  async #submit(onChange) {
    const { name, source, mode, privacy } = this.#stream;
    const now = {
      name: this.#find("edit-name").value.trim(),
      source: this.#find("edit-source").value.trim(),
      mode: this.#find("edit-mode").value,
      privacy: this.#find("edit-privacy").checked,
      record: this.#find("edit-record").checked,
    };
    const before = { name, source, mode, privacy, record: isRecorded(this.#stream) };
    const change = Object.fromEntries(Object.entries(now).filter(([key, value]) => value !== before[key]));
    const save = this.#find("edit-save");
    save.disabled = true;
    this.#find("edit-error").textContent = "";
    try {
      await onChange(name, change);
      this.#dialog.close();
    } catch (error) {
      const { title, advice } = explain(error);
      this.#find("edit-error").textContent = advice || title;
    }
    save.disabled = false;
  }
}

const isRecorded = ({ recording }) => recording?.state === "recording";
