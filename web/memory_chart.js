// Memory by owner over time: areas one on the other, under the line of the budget. Drawn on a canvas.

import { colourOf } from "./captions.js";

const SPAN_MS = 300_000;
const MAX_PIXEL_RATIO = 2;
const OURS = { context: "#7d8b93", unaccounted: "#a8b3b9", loading: "#5b6870" };

export const colourOfOwner = (owner, index) => OURS[owner] ?? colourOf(index);

/** The last few minutes of what was in memory. */
export class History {
  #looks = [];

  /** owners: megabytes by owner; budget: megabytes. */
  add(nowMs, owners, budget) {
    this.#looks.push({ nowMs, owners, budget });
    while (this.#looks.length && nowMs - this.#looks[0].nowMs > SPAN_MS) this.#looks.shift();
  }

  /** Everybody who had something, those who have most of it now first. */
  get owners() {
    const last = this.#looks.at(-1)?.owners ?? {};
    const names = new Set(this.#looks.flatMap(({ owners }) => Object.keys(owners)));
    return [...names].sort((a, b) => (last[b] ?? 0) - (last[a] ?? 0) || (a < b ? -1 : 1));
  }

  draw(canvas, colours) {
    const ratio = Math.min(window.devicePixelRatio || 1, MAX_PIXEL_RATIO);
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    const context = canvas.getContext("2d");
    const looks = this.#looks;
    if (looks.length < 2) return;
    const totals = looks.map(({ owners }) => Object.values(owners).reduce((sum, size) => sum + size, 0));
    const highest = Math.max(...totals);
    const budget = looks.at(-1).budget;
    const top = (budget < 4 * highest ? Math.max(budget, highest) : highest) * 1.1;
    const x = ({ nowMs }) => canvas.width * (1 - (looks.at(-1).nowMs - nowMs) / SPAN_MS);
    const y = (size) => canvas.height * (1 - size / top);
    const below = looks.map(() => 0);
    for (const owner of this.owners) {
      context.beginPath();
      for (const [index, look] of looks.entries()) context.lineTo(x(look), y(below[index]));
      for (let index = looks.length - 1; index >= 0; index -= 1) {
        below[index] += looks[index].owners[owner] ?? 0;
        context.lineTo(x(looks[index]), y(below[index]));
      }
      context.fillStyle = colours.get(owner);
      context.fill();
    }
    if (budget > top) return;
    context.setLineDash([6 * ratio, 4 * ratio]);
    context.beginPath();
    for (const look of looks) context.lineTo(x(look), y(look.budget));
    context.lineWidth = 2 * ratio;
    context.strokeStyle = getComputedStyle(canvas).getPropertyValue("--bad");
    context.stroke();
    context.setLineDash([]);
  }
}
