// Under the player: the recording decided again with the models and settings of today, and what comes out differently.

import { element } from "./element.js";
import { explain } from "./failures.js";
import { replayOf, startReplay, stopReplay } from "./signalling.js";
import { tableOf } from "./table.js";

const POLL_MS = 700;
const SHOWN = 200;
const HEADS = ["frame", "track", "field", "was", "is"];

export class Comparison {
  #box;
  #onShow;
  #id = null;
  #timer = 0;

  /** box: where it is shown, in `dialog`. onShow(ptsS): somebody wants to see the picture at that time of the stream. */
  constructor({ box, dialog, onShow }) {
    this.#box = box;
    this.#onShow = onShow;
    dialog.addEventListener("close", () => this.#leave());
  }

  /** For a recording of GET /recordings. */
  open({ id }) {
    this.#leave();
    this.#id = id;
    this.#idle();
    return this.#ask(id, replayOf);
  }

  #leave() {
    clearTimeout(this.#timer);
    this.#id = null;
    this.#box.replaceChildren();
  }

  /** Shows what `request` answers of a recording, if that is still the one looked at. */
  async #ask(id, request) {
    try {
      const report = await request(id);
      if (this.#id === id) this.#show(report);
    } catch (error) {
      if (this.#id === id) this.#idle(request === replayOf && explain(error).code === "not_found" ? null : error);
    }
  }

  async #stop(id) {
    clearTimeout(this.#timer);
    await stopReplay(id).catch(() => {}); // what is going on is asked anew
    if (this.#id === id) await this.#ask(id, replayOf);
  }

  #show(report) {
    if (report.state === "running") {
      this.#progress(report);
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#ask(report.recording, replayOf), POLL_MS);
    } else if (report.state === "failed") {
      this.#idle(null, `It could not be decided again: ${report.reason}.`);
    } else {
      this.#done(report);
    }
  }

  #idle(error = null, text = "") {
    const { title, advice } = error ? explain(error) : {};
    const said = error ? `${title}. ${advice}` : text;
    this.#fill(
      this.#button("Compare with today", () => this.#ask(this.#id, startReplay)),
      element("small", {}, "Decides this recording again with today’s models, settings and gallery, in the time that the streams leave."),
      element("p.form-error", { role: "alert" }, said),
    );
  }

  #progress({ frames, total }) {
    let bar = this.#box.querySelector("progress");
    if (!bar) {
      bar = element("progress", { "aria-label": "Pictures decided again" });
      this.#fill(this.#button("Stop", () => this.#stop(this.#id)), bar, element("small.comparison-count"));
    }
    bar.max = Math.max(1, total);
    bar.value = frames;
    this.#box.querySelector("small").textContent = `${frames} of ${total} pictures`;
  }

  #done(report) {
    const { differences, by_field: fields, different_frames: frames, warnings, total, as_scheduled: live } = report;
    const count = Object.values(fields).reduce((sum, one) => sum + one, 0);
    const way = live ? "the session as it went" : "decided anew";
    const summary = count ? `${count} differences in ${frames} of ${total} pictures` : `No decision differs in ${total} pictures`;
    const parts = [
      this.#button("Compare again", () => this.#ask(this.#id, startReplay)),
      element("p.comparison-summary", { role: "status" }, `${summary} (${way}).`),
    ];
    if (warnings.length) {
      const items = warnings.map((text) => element("li", {}, text));
      parts.push(element("p", {}, "Not as it was:"), element("ul.comparison-warnings", {}, ...items));
    }
    if (count) {
      const shown = differences.slice(0, SHOWN);
      const told = Object.entries(fields).map(([field, number]) => `${field} ${number}`).join(", ");
      parts.push(element("p", {}, `By field: ${told}.`), this.#table(shown));
      if (count > shown.length) parts.push(element("small", {}, `The first ${shown.length} are shown; streamapp replay --json has all.`));
    }
    this.#fill(...parts);
  }

  #table(differences) {
    const rows = differences.map(({ frame, track, field, was, now }) => [frame, track ?? "", field, was, now]);
    const table = tableOf(HEADS, rows, ["frame", "track"]);
    for (const [index, { frame, pts_s: ptsS, field }] of differences.entries()) {
      if (ptsS === null) continue;
      const label = { type: "button", "aria-label": `Show frame ${frame}, ${field}` };
      const show = element("button.quiet", label, String(frame));
      show.addEventListener("click", () => this.#onShow(ptsS));
      table.tBodies[0].rows[index].cells[0].replaceChildren(show);
    }
    const frame = { tabIndex: 0, role: "region", "aria-label": "Differences, frame by frame" };
    return element("div.scroll.comparison-table", frame, table);
  }

  /** The first part is a button; it has the focus if the one before it had. */
  #fill(...parts) {
    const hadFocus = this.#box.contains(document.activeElement);
    this.#box.replaceChildren(...parts);
    if (hadFocus) parts[0].focus();
  }

  #button(text, act) {
    const button = element("button", { type: "button" }, text);
    button.addEventListener("click", act);
    return button;
  }
}
