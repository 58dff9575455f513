// The pictures of the wall. The server burns the faces in; the page asks for one picture after another, of what can be
// seen only, and for so many a second in all and no more, however many streams there are.

import { newestPicture } from "./signalling.js";

const PICTURES_PER_S = 24;
const MOST_PER_S = 8;
const DOWN_INTERVAL_MS = 2000;
const AT_ONCE = 3;
const WIDTHS = [320, 480, 640, 960, 1280];

export class Screens {
  #screens = new Map();
  #asked = 0;
  #timer = 0;
  #observer = new IntersectionObserver((entries) => this.#see(entries), { rootMargin: "10%" });

  constructor() {
    document.addEventListener("visibilitychange", () => this.#next());
  }

  /** Shows the pictures of a stream in a row, for as long as the row is in the page. */
  follow(row, { name, state }) {
    let screen = this.#screens.get(row);
    if (!screen) {
      const canvas = row.querySelector("canvas");
      screen = { row, name, canvas, context: canvas.getContext("2d"), visible: false, busy: false, dueMs: 0, etag: null };
      this.#screens.set(row, screen);
      this.#observer.observe(row);
    }
    if (screen.state !== state) screen.dueMs = 0;
    screen.state = state;
    this.#next();
  }

  #see(entries) {
    for (const { target, isIntersecting } of entries) {
      const screen = this.#screens.get(target);
      if (target.isConnected && screen) screen.visible = isIntersecting;
      else this.#forget(target);
    }
    this.#next();
  }

  #forget(row) {
    this.#observer.unobserve(row);
    this.#screens.delete(row);
  }

  /** Asks for the pictures that are due, the one that waited longest first. */
  #next() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    const shown = [...this.#screens.values()].filter(({ visible }) => visible);
    const waiting = shown.filter(({ busy }) => !busy).sort((a, b) => a.dueMs - b.dueMs);
    const nowMs = performance.now();
    const intervalMs = 1000 / Math.min(MOST_PER_S, PICTURES_PER_S / Math.max(1, shown.length));
    for (const screen of waiting) {
      if (screen.dueMs > nowMs || this.#asked >= AT_ONCE) break;
      screen.dueMs = nowMs + (screen.state === "live" ? intervalMs : DOWN_INTERVAL_MS);
      this.#take(screen);
    }
    const dueMs = Math.min(...waiting.filter(({ busy }) => !busy).map((screen) => screen.dueMs));
    if (this.#asked < AT_ONCE && Number.isFinite(dueMs)) this.#timer = setTimeout(() => this.#next(), Math.max(0, dueMs - nowMs));
  }

  async #take(screen) {
    const { canvas, name, etag } = screen;
    this.#asked += 1;
    screen.busy = true;
    try {
      const wanted = canvas.clientWidth * Math.min(window.devicePixelRatio || 1, 2);
      const width = WIDTHS.find((candidate) => candidate >= wanted) ?? WIDTHS.at(-1);
      const found = await newestPicture(name, { width, etag });
      if (found) await this.#draw(screen, found);
      screen.row.removeAttribute("data-dark");
    } catch {
      // There is none yet, or the server is away: what was shown stays, and the list says how the stream is.
      if (!screen.etag) screen.row.setAttribute("data-dark", "");
      screen.dueMs = performance.now() + DOWN_INTERVAL_MS;
    }
    this.#asked -= 1;
    screen.busy = false;
    if (!screen.row.isConnected) this.#forget(screen.row);
    this.#next();
  }

  async #draw(screen, { blob, etag }) {
    const { canvas, context } = screen;
    const picture = await createImageBitmap(blob);
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
    }
    context.drawImage(picture, 0, 0);
    picture.close();
    screen.etag = etag;
    screen.drawn = (screen.drawn ?? 0) + 1;
    screen.row.dataset.pictures = screen.drawn;
  }
}
