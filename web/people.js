// The list of people in the gallery: when their consent ends, everything about them as a file, and erasure.

import { confirmed } from "./confirmed.js";
import { element } from "./element.js";
import { explain } from "./failures.js";
import { removeRow } from "./focus.js";
import { erasePerson, exportOf, listPeople } from "./gallery.js";

export class People {
  #list;
  #note;
  #more;
  #next = null;
  #total = 0;

  constructor({ list, note, more }) {
    this.#list = list;
    this.#note = note;
    this.#more = more;
    more.addEventListener("click", () => this.#page(this.#next));
  }

  /** Asks the server for everybody, from the first page on. */
  async refresh() {
    this.#list.replaceChildren();
    await this.#page(0);
  }

  async #page(offset) {
    try {
      const { people, total, next_offset: next } = await listPeople(offset);
      this.#list.append(...people.map((person) => this.#row(person)));
      this.#next = next;
      this.#more.hidden = next === null;
      this.#say(total);
    } catch (error) {
      const { title, advice } = explain(error);
      this.#more.hidden = true;
      this.#note.textContent = `${title}. ${advice}`;
    }
  }

  #say(total) {
    this.#total = total;
    this.#note.textContent = total ? "" : "Nobody yet. Start in depth Full and enroll a face, or add pictures.";
  }

  #row({ id, name, consent, last_seen_at: seen }) {
    const terms = element("p.person-terms", {}, `agreed until ${day(consent.expires_at)}, last seen ${day(seen)}`);
    const told = { href: exportOf(id), download: "", "aria-label": `Export: everything about ${name} as a file` };
    const erase = element("button.person-erase.quiet", { type: "button", "aria-label": `Erase ${name}` }, "Erase");
    const actions = element("p.actions", {}, element("a.person-export", told, "Export"), erase);
    const row = element("li.person", {}, element("p.person-name", {}, name), terms, actions);
    row.dataset.person = id;
    confirmed(erase, () => this.#erase(id, row), "For good?");
    return row;
  }

  async #erase(id, row) {
    try {
      await erasePerson(id);
      removeRow(row);
      if (this.#next !== null) this.#next -= 1;
      this.#say(this.#total - 1);
    } catch (error) {
      row.querySelector(".person-terms").textContent = explain(error).advice;
    }
  }
}

const day = (time) => new Date(time).toLocaleDateString();
