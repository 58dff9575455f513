// The dialog that puts somebody into the gallery: by a face of a live stream, or by pictures.

import { explain } from "./failures.js";
import { enrollPictures, enrollTrack } from "./gallery.js";

const YEAR_MS = 365 * 86_400_000;

export class Enroll {
  #dialog;
  #find;
  #face = null;
  #onEnrolled;

  /** onEnrolled(person): somebody is in the gallery now. */
  constructor(root, { onEnrolled }) {
    this.#find = (id) => root.getElementById(id);
    this.#dialog = this.#find("enroll");
    this.#onEnrolled = onEnrolled;
    this.#find("enroll-close").addEventListener("click", () => this.#dialog.close());
    this.#find("enroll-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** face: {stream, track}, or null to enroll by pictures. */
  open(face) {
    this.#face = face;
    this.#find("enroll-form").reset();
    this.#find("enroll-until").value = new Date(Date.now() + YEAR_MS).toISOString().slice(0, 10);
    this.#find("enroll-title").textContent = face ? `Enroll face ${face.track} of ${face.stream}` : "Enroll by pictures";
    this.#find("enroll-pictures-field").hidden = Boolean(face);
    this.#find("enroll-pictures").required = !face;
    this.#find("enroll-hint").hidden = !face;
    this.#say([]);
    this.#dialog.showModal();
    this.#find("enroll-name").focus();
  }

  async #submit() {
    const button = this.#find("enroll-submit");
    const asked = {
      name: this.#find("enroll-name").value.trim(),
      consent: {
        by: this.#find("enroll-by").value.trim(),
        text: this.#find("enroll-text").value.trim(),
        until: this.#find("enroll-until").value,
      },
      allowSpoof: this.#find("enroll-spoof").checked,
      allowDuplicate: this.#find("enroll-duplicate").checked,
    };
    button.disabled = true;
    this.#say([]);
    try {
      const pictures = [...this.#find("enroll-pictures").files];
      const answer = this.#face ? await enrollTrack({ ...asked, ...this.#face }) : await enrollPictures({ ...asked, pictures });
      this.#dialog.close();
      this.#onEnrolled(answer.person);
    } catch (error) {
      const { title, advice } = explain(error);
      this.#say([advice || title]);
    }
    button.disabled = false;
  }

  #say(lines) {
    const error = this.#find("enroll-error");
    error.textContent = lines.join(" ");
    if (lines.length) this.#find("enroll-submit").scrollIntoView({ block: "end" });
  }
}
