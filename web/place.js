// One stream on the page of the people: its faces as cards, each with what the newest picture shows of it.

import { element } from "./element.js";
import { Faces } from "./faces.js";
import { explain } from "./failures.js";
import { newestPicture, newestResult } from "./signalling.js";

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
   *  blurred for them is blurred here. */
  async look() {
    let result;
    try {
      result = await newestResult(this.#stream);
      this.#faces.show(result);
    } catch (error) {
      this.#faces.show(null);
      this.#empty.textContent = explain(error).advice;
      return;
    }
    if (result.tracks.length) await this.#picture(result);
  }

  async #picture(result) {
    let picture;
    try {
      picture = await newestPicture(this.#stream);
    } catch {
      return; // the cards say what is known without one
    }
    for (const { id, box } of result.tracks) draw(this.#canvas(id), picture, box, picture.width / result.width);
    picture.close();
  }

  #canvas(id) {
    const card = this.#list.querySelector(`[data-track="${id}"]`);
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
