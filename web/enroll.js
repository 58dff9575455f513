// The dialog that puts somebody into the gallery: by a face of a live stream, or by pictures.

import { dialog } from "./dialog.js";
import { element } from "./element.js";
import { explain } from "./failures.js";
import { enrollPictures, enrollTrack } from "./gallery.js";

const YEAR_MS = 365 * 86_400_000;
const find = (id) => document.getElementById(id);

export class Enroll {
  #form = form();
  #parts = dialog("enroll", this.#form);
  #face = null;
  #onEnrolled;

  /** onEnrolled(person): somebody is in the gallery now. */
  constructor({ onEnrolled }) {
    this.#onEnrolled = onEnrolled;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** face: {stream, track}, or null to enroll by pictures. */
  open(face) {
    this.#face = face;
    this.#form.reset();
    find("enroll-until").value = new Date(Date.now() + YEAR_MS).toISOString().slice(0, 10);
    this.#parts.title.textContent = face ? `Enroll face ${face.track} of ${face.stream}` : "Enroll by pictures";
    find("enroll-pictures-field").hidden = Boolean(face);
    find("enroll-pictures").required = !face;
    find("enroll-hint").hidden = !face;
    this.#say([]);
    this.#parts.dialog.showModal();
    find("enroll-name").focus();
  }

  async #submit() {
    const button = find("enroll-submit");
    const asked = {
      name: find("enroll-name").value.trim(),
      consent: {
        by: find("enroll-by").value.trim(),
        text: find("enroll-text").value.trim(),
        until: find("enroll-until").value,
      },
      allowSpoof: find("enroll-spoof").checked,
      allowDuplicate: find("enroll-duplicate").checked,
    };
    button.disabled = true;
    this.#say([]);
    try {
      const pictures = [...find("enroll-pictures").files];
      const answer = this.#face ? await enrollTrack({ ...asked, ...this.#face }) : await enrollPictures({ ...asked, pictures });
      this.#parts.dialog.close();
      this.#onEnrolled(answer.person);
    } catch (error) {
      const { title, advice } = explain(error);
      this.#say([advice || title]);
    }
    button.disabled = false;
  }

  #say(lines) {
    const error = find("enroll-error");
    error.textContent = lines.join(" ");
    if (lines.length) find("enroll-submit").scrollIntoView({ block: "end" });
  }
}

function form() {
  const words = { required: true, maxLength: 200, autocomplete: "off" };
  return element(
    "form.dialog-body",
    { id: "enroll-form" },
    element("p", {}, "Only people who agreed to it. No picture is kept, and everything can be erased at any time."),
    field("Name", { id: "enroll-name", ...words }),
    field("Who agreed to it", { id: "enroll-by", placeholder: "They themselves, in writing", ...words }),
    field("To which text", { id: "enroll-text", placeholder: "faces-2026-01", ...words }),
    field("Until", { id: "enroll-until", type: "date", required: true }),
    field("Pictures of this face alone", { id: "enroll-pictures", type: "file", accept: "image/jpeg,image/png,image/webp", multiple: true }),
    element("p", { id: "enroll-hint" }, "The face should look into the camera for a second or two, near and well lit."),
    toggle("Even if it is like somebody enrolled", "enroll-duplicate"),
    toggle("Even if it looks like a photo or a screen", "enroll-spoof"),
    element("p.form-error", { id: "enroll-error", role: "alert" }),
    element("p.actions", {}, element("button.primary", { type: "submit", id: "enroll-submit" }, "Enroll")),
  );
}

const field = (label, input) => element("label.field", { id: `${input.id}-field` }, label, element("input", input));
const toggle = (label, id) =>
  element("label.switch", {}, element("input", { type: "checkbox", role: "switch", id }), element("span", {}, label));
