// One stream on the page of the people: its faces as cards, each with what the newest picture shows of it.

import { element } from "./element.js";
import { Faces } from "./faces.js";
import { explain } from "./failures.js";
import { newestBitmap, newestResult } from "./signalling.js";
import { lasted } from "./words.js";

const SIDE = 96;
const ROOM = 0.3;

export class Place {
  #stream;
  #box;
  #list = element("ul.faces");
  #empty = element("p.empty");
  #faces;

  /** actions: what `Faces` calls. */
  constructor(parent, stream, actions) {
    this.#stream = stream;
    this.#faces = new Faces({ list: this.#list, empty: this.#empty, ...actions });
    this.#box = element("section.place", { "aria-label": stream }, element("h3", {}, stream), this.#list, this.#empty);
    parent.append(this.#box);
  }

  remove() {
    this.#box.remove();
  }

  /** Asks for the newest result, and for the newest picture if there is somebody on it: as others see it, so what is
   *  blurred for them is blurred here. came: when visits began, by "stream track". */
  async look(came) {
    let result;
    try {
      result = await newestResult(this.#stream);
      this.#faces.show(result);
    } catch (error) {
      this.#faces.show(null);
      this.#empty.textContent = explain(error).advice;
      return;
    }
    for (const { id } of result.tracks) this.#since(id, came.get(`${this.#stream} ${id}`));
    if (result.tracks.length) await this.#picture(result);
  }

  #since(id, at) {
    if (at === undefined) return;
    const card = this.#card(id);
    if (!card.querySelector(".face-since")) card.querySelector(".face-head").after(element("p.face-since"));
    const text = `Here since ${new Date(at * 1000).toLocaleTimeString()}, for ${lasted(Math.max(0, Date.now() / 1000 - at))}`;
    card.querySelector(".face-since").textContent = text;
  }

  #card(id) {
    return this.#list.querySelector(`[data-track="${id}"]`);
  }

  async #picture(result) {
    let picture;
    try {
      picture = await newestBitmap(this.#stream);
    } catch {
      return; // the cards say what is known without one
    }
    for (const { id, box } of result.tracks) draw(this.#canvas(id), picture, box, picture.width / result.width);
    picture.close();
  }

  #canvas(id) {
    const card = this.#card(id);
    const there = card.querySelector("canvas");
    if (there) return there;
    const size = SIDE * Math.min(2, window.devicePixelRatio || 1);
    const made = element("canvas.face-picture", { width: size, height: size, role: "img", "aria-label": `Face ${id} as it is now` });
    card.prepend(made);
    return made;
  }
}

/** A square around a box, with some room. */
function draw(canvas, picture, [left, top, right, bottom], scale) {
  const side = Math.max(right - left, bottom - top) * (1 + 2 * ROOM) * scale;
  const x = ((left + right) / 2) * scale - side / 2;
  const y = ((top + bottom) / 2) * scale - side / 2;
  const context = canvas.getContext("2d", { alpha: false });
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, x, y, side, side, 0, 0, canvas.width, canvas.height);
}
