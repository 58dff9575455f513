// Draws a picture with its faces on a canvas. It knows nothing of where they came from.

import { captionOf, colourOf, labelOf } from "./captions.js";
import { blur, part } from "./veil.js";

const SHADE = "rgb(8 12 18 / 0.82)";
const BACKGROUND = "#080c10";
const MAX_PIXEL_RATIO = 2;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";

export class Overlay {
  #canvas;
  #context;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  resize() {
    const ratio = Math.min(window.devicePixelRatio || 1, MAX_PIXEL_RATIO);
    const width = Math.max(1, Math.round(this.#canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.#canvas.clientHeight * ratio));
    if (this.#canvas.width === width && this.#canvas.height === height) return;
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.onResize?.();
  }

  /** Called when the canvas was emptied by a change of its size. */
  onResize = null;

  clear() {
    this.#context.fillStyle = BACKGROUND;
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /** Draws `picture` fitted into the canvas, and on it `tracks`, whose boxes are pixels of a frame `frameWidth` x
   *  `frameHeight`. `faded` draws them paler: they belong to an older picture. `veiled`: boxes in the same
   *  pixels that are blurred; null: all of the picture is. `isPrivate`: points are drawn on named faces only. */
  draw(picture, tracks, { frameWidth, frameHeight, faded, veiled = [], isPrivate = false }) {
    const context = this.#context;
    const { width, height } = this.#canvas;
    const fit = Math.min(width / picture.width, height / picture.height);
    const shownWidth = picture.width * fit;
    const shownHeight = picture.height * fit;
    const left = (width - shownWidth) / 2;
    const top = (height - shownHeight) / 2;
    if (left > 0.5 || top > 0.5) this.clear();
    context.drawImage(picture, left, top, shownWidth, shownHeight);
    const ratio = Math.min(window.devicePixelRatio || 1, MAX_PIXEL_RATIO);
    const place = (x, y) => [left + (x * shownWidth) / frameWidth, top + (y * shownHeight) / frameHeight];
    for (const box of veiled ?? [[0, 0, frameWidth, frameHeight]]) {
      const [x, y, w, h] = part(box, frameWidth, frameHeight);
      const [scaleX, scaleY] = [picture.width / frameWidth, picture.height / frameHeight];
      const [toX, toY] = place(x, y);
      const to = [toX, toY, (w * shownWidth) / frameWidth, (h * shownHeight) / frameHeight];
      if (w > 0 && h > 0) blur(context, picture, [x * scaleX, y * scaleY, w * scaleX, h * scaleY], to);
    }
    context.globalAlpha = faded ? 0.55 : 1;
    const area = { left, top, right: left + shownWidth, bottom: top + shownHeight };
    for (const track of tracks) {
      const hasPoints = track.state !== "coasting" && (!isPrivate || track.analyses.identity?.state === "identified");
      this.#drawTrack(track, place, ratio, area, hasPoints);
    }
    context.globalAlpha = 1;
  }

  #drawTrack(track, place, ratio, area, hasPoints) {
    const context = this.#context;
    const colour = colourOf(track.id);
    const [x1, y1] = place(track.box[0], track.box[1]);
    const [x2, y2] = place(track.box[2], track.box[3]);
    const coasting = track.state === "coasting";
    context.lineJoin = "round";
    context.setLineDash(coasting ? [7 * ratio, 5 * ratio] : []);
    this.#outline(x1, y1, x2 - x1, y2 - y1, 4 * ratio, coasting ? "rgb(8 12 18 / 0.35)" : "rgb(8 12 18 / 0.55)");
    this.#outline(x1, y1, x2 - x1, y2 - y1, 2 * ratio, colour);
    context.setLineDash([]);
    if (hasPoints) {
      for (const [x, y] of track.keypoints ?? track.landmarks ?? []) this.#dot(...place(x, y), 2.75 * ratio, colour);
    }
    this.#label(labelOf(track), x1, y1 - 24 * ratio, colour, ratio, area);
    const caption = captionOf(track.analyses);
    if (caption) this.#label(caption, x1, y2 + 4 * ratio, colour, ratio, area);
  }

  #outline(x, y, width, height, lineWidth, colour) {
    const context = this.#context;
    context.lineWidth = lineWidth;
    context.strokeStyle = colour;
    context.beginPath();
    context.roundRect(x, y, width, height, Math.min(8, Math.abs(width) / 8));
    context.stroke();
  }

  #dot(x, y, radius, colour) {
    const context = this.#context;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    context.lineWidth = radius / 2.5;
    context.strokeStyle = SHADE;
    context.stroke();
  }

  #label(text, x, y, colour, ratio, area) {
    const context = this.#context;
    context.font = `600 ${12 * ratio}px ${FONT}`;
    const height = 20 * ratio;
    const width = context.measureText(text).width + 20 * ratio;
    const left = Math.max(area.left, Math.min(x - ratio, area.right - width));
    const top = Math.max(area.top, Math.min(y, area.bottom - height));
    context.beginPath();
    context.roundRect(left, top, width, height, 6 * ratio);
    context.fillStyle = SHADE;
    context.fill();
    context.beginPath();
    context.arc(left + 9 * ratio, top + height / 2, 3 * ratio, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
    context.fillStyle = "#fff";
    context.textBaseline = "middle";
    context.fillText(text, left + 15 * ratio, top + height / 2 + 0.5 * ratio);
  }
}
