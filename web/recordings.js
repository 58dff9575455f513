// The list of recordings: played and deleted from here. Text from the server goes in by textContent only.

import { confirmed } from "./confirmed.js";
import { explain } from "./failures.js";
import { deleteRecording, listRecordings } from "./signalling.js";

const STATES = {
  recording: "being recorded",
  complete: "",
  disk_full: "ended: the disk was full",
  failed: "ended: it could not be written",
};

const PRIVATE = "Faces blurred: it cannot be analysed again";

export class Recordings {
  #list;
  #empty;
  #summary;
  #template;
  #onPlay;
  #active = "";

  /** onPlay(recording): somebody wants to see it. */
  constructor({ list, empty, summary, template, onPlay }) {
    this.#list = list;
    this.#empty = empty;
    this.#summary = summary;
    this.#template = template;
    this.#onPlay = onPlay;
  }

  /** Reads the list again whenever a recording began or ended on one of the streams. */
  follow(streams) {
    const active = streams.map(({ recording }) => recording && `${recording.id} ${recording.state}`).join();
    if (active === this.#active) return;
    this.#active = active;
    this.refresh();
  }

  async refresh() {
    try {
      const { recordings, total, bytes } = await listRecordings();
      this.#list.replaceChildren(...recordings.map((recording) => this.#row(recording)));
      this.#empty.hidden = total > 0;
      this.#empty.textContent = "Nothing was recorded yet. Press Record at a stream.";
      const shown = recordings.length < total ? `the newest ${recordings.length} of ${total}` : String(total);
      this.#summary.textContent = bytes ? `${shown}, ${size(bytes)}` : "";
    } catch (error) {
      this.#empty.hidden = false;
      this.#empty.textContent = explain(error).advice;
    }
  }

  #row(recording) {
    const row = this.#template.content.firstElementChild.cloneNode(true);
    const put = (selector, text) => (row.querySelector(selector).textContent = text);
    const seconds = recording.parts.reduce((sum, part) => sum + part.seconds, 0);
    const when = new Date(recording.started_at * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
    row.dataset.recording = recording.id;
    row.dataset.state = recording.state;
    put(".recording-stream", recording.stream);
    put(".recording-when", when);
    const isOn = recording.state === "recording";
    put(".recording-size", isOn ? "" : `${duration(seconds)}, ${size(recording.bytes)}, ${recording.results} results`);
    put(".recording-state", [STATES[recording.state], recording.reason, recording.privacy && PRIVATE].filter(Boolean).join(". "));
    const play = row.querySelector(".recording-play");
    play.disabled = isOn || recording.parts.length === 0;
    play.setAttribute("aria-label", `Play ${recording.stream}, ${when}`);
    play.addEventListener("click", () => this.#onPlay(recording));
    const remove = row.querySelector(".recording-delete");
    remove.disabled = isOn;
    remove.setAttribute("aria-label", `Delete ${recording.stream}, ${when}`);
    confirmed(remove, async () => {
      try {
        await deleteRecording(recording.id);
      } catch (error) {
        put(".recording-state", explain(error).advice);
        return;
      }
      await this.refresh();
    });
    return row;
  }
}

function duration(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

function size(bytes) {
  const units = ["kB", "MB", "GB"];
  let value = bytes / 1000;
  while (value >= 1000 && units.length > 1) {
    value /= 1000;
    units.shift();
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[0]}`;
}
