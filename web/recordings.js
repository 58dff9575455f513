// The list of recordings: played and deleted from here. Text from the server goes in by textContent only.

import { confirmed } from "./confirmed.js";
import { explain } from "./failures.js";
import { removeRow } from "./focus.js";
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
  #shown = new Map();

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
      this.#show(recordings);
      this.#empty.hidden = total > 0;
      this.#empty.textContent = "Nothing was recorded yet. Press Record at a stream.";
      const shown = recordings.length < total ? `the newest ${recordings.length} of ${total}` : String(total);
      this.#summary.textContent = bytes ? `${shown}, ${size(bytes)}` : "";
    } catch (error) {
      this.#empty.hidden = false;
      this.#empty.textContent = explain(error).advice;
    }
  }

  /** Rows that stay are not touched but for their text: the keyboard may be in one. */
  #show(recordings) {
    this.#shown = new Map(recordings.map((recording) => [recording.id, recording]));
    for (const row of [...this.#list.children]) if (!this.#shown.has(row.dataset.recording)) removeRow(row);
    for (const [index, recording] of recordings.entries()) {
      const row = [...this.#list.children].find((one) => one.dataset.recording === recording.id) ?? this.#newRow(recording);
      if (this.#list.children[index] !== row) this.#list.insertBefore(row, this.#list.children[index] ?? null);
      fill(row, recording);
    }
  }

  #newRow({ id, stream, started_at: startedAt }) {
    const row = this.#template.content.firstElementChild.cloneNode(true);
    const of = `${stream}, ${moment(startedAt)}`;
    const play = row.querySelector(".recording-play");
    const remove = row.querySelector(".recording-delete");
    row.dataset.recording = id;
    play.setAttribute("aria-label", `Play ${of}`);
    play.addEventListener("click", () => this.#onPlay(this.#shown.get(id)));
    remove.setAttribute("aria-label", `Delete ${of}`);
    confirmed(remove, async () => {
      try {
        await deleteRecording(id);
      } catch (error) {
        row.querySelector(".recording-state").textContent = explain(error).advice;
        return;
      }
      await this.refresh();
    });
    return row;
  }
}

function fill(row, recording) {
  const put = (selector, text) => (row.querySelector(selector).textContent = text);
  const seconds = recording.parts.reduce((sum, part) => sum + part.seconds, 0);
  const isOn = recording.state === "recording";
  row.dataset.state = recording.state;
  put(".recording-stream", recording.stream);
  put(".recording-when", moment(recording.started_at));
  put(".recording-size", isOn ? "" : `${duration(seconds)}, ${size(recording.bytes)}, ${recording.results} results`);
  put(".recording-state", [STATES[recording.state], recording.reason, recording.privacy && PRIVATE].filter(Boolean).join(". "));
  row.querySelector(".recording-play").disabled = isOn || recording.parts.length === 0;
  row.querySelector(".recording-delete").disabled = isOn;
}

const moment = (time) => new Date(time * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });

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
