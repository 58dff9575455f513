// The list of streams: kept up to date, added to and removed from. Text from the server goes in by textContent only.

import { confirmed } from "./confirmed.js";
import { explain } from "./failures.js";
import { removeRow } from "./focus.js";
import { addStream, changeStream, listStreams, removeStream, startRecording, stopRecording } from "./signalling.js";

const POLL_MS = 1000;
const REFUSAL_MS = 8000;

const STATES = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  ended: "Ended",
  failed: "Failed",
  closed: "Closed",
};

const SOURCES = { demo: "demo clip", webrtc: "a browser's camera" };

export class Streams {
  #list;
  #empty;
  #template;
  #onWatch;
  #onEdit;
  #onItems;
  #onRow;
  #items = [];
  #firstSeen = new Map();
  #watched = null;
  #timer = 0;
  #reachable = true;
  #rows = new Map();
  #refusals = new Map();

  /** onWatch(name), onEdit(item): somebody wants to see, to change that stream. onItems(items): the list was read anew.
   *  onRow(row, item): that stream is shown in that row. Rows have those parts that the template has. */
  constructor({ list, empty, template, onWatch, onEdit, onItems, onRow = () => {} }) {
    this.#list = list;
    this.#empty = empty;
    this.#template = template;
    this.#onWatch = onWatch;
    this.#onEdit = onEdit;
    this.#onItems = onItems;
    this.#onRow = onRow;
  }

  start() {
    document.addEventListener("visibilitychange", () => this.refresh());
    return this.refresh();
  }

  get items() {
    return this.#items;
  }

  get reachable() {
    return this.#reachable;
  }

  /** Why a stream is not live, in words; null if it is, or is not known. */
  describe(name) {
    const item = this.#items.find((candidate) => candidate.name === name);
    if (!item || item.state === "live") return null;
    return [this.#stateText(item), item.reason].filter(Boolean).join(": ");
  }

  /** As `describe`, without what changes every second. */
  summarize(name) {
    const item = this.#items.find((candidate) => candidate.name === name);
    return !item || item.state === "live" ? null : [STATES[item.state] ?? item.state, item.reason].filter(Boolean).join(": ");
  }

  /** The recording of a stream that is being recorded now, or null. */
  recordingOf(name) {
    const recording = this.#items.find((item) => item.name === name)?.recording;
    return recording?.state === "recording" ? recording : null;
  }

  /** Marks the stream being watched; null for none. */
  setWatched(name) {
    this.#watched = name;
    this.#render();
  }

  /** Reads the list now, and again every second while the page is visible. */
  async refresh() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    try {
      const items = await listStreams();
      this.#items = items;
      this.#noteStates();
      this.#reachable = true;
      this.#onItems(items);
    } catch {
      this.#reachable = false;
    }
    this.#render();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), POLL_MS);
  }

  /** Adds a stream. Throws Failure. */
  async add(stream) {
    try {
      await addStream(stream);
    } catch (error) {
      throw explain(error);
    }
    await this.refresh();
  }

  /** Changes a stream; returns it as it is then. Throws Failure. */
  async change(name, change) {
    let changed;
    try {
      changed = await changeStream(name, change);
    } catch (error) {
      throw explain(error);
    } finally {
      await this.refresh();
    }
    return changed;
  }

  #render() {
    const names = new Set(this.#items.map((item) => item.name));
    for (const [name, row] of this.#rows) {
      if (names.has(name)) continue;
      removeRow(row);
      this.#rows.delete(name);
    }
    for (const item of this.#items) {
      if (!this.#rows.has(item.name)) this.#rows.set(item.name, this.#newRow(item.name));
      const row = this.#rows.get(item.name);
      this.#fill(row, item);
      if (row !== this.#list.children[this.#items.indexOf(item)]) this.#list.append(row);
    }
    this.#empty.hidden = this.#items.length > 0 && this.#reachable;
    this.#empty.textContent = this.#reachable
      ? "No streams yet. Add the demo clip or an RTSP camera."
      : "The server does not answer. The list is shown as it was last.";
  }

  #newRow(name) {
    const row = this.#template.content.firstElementChild.cloneNode(true);
    row.dataset.stream = name;
    row.querySelector(".stream-watch")?.addEventListener("click", () => this.#onWatch(name));
    const edit = row.querySelector(".stream-edit");
    edit?.setAttribute("aria-label", `Edit ${name}`);
    edit?.addEventListener("click", () => this.#onEdit(this.#items.find((item) => item.name === name)));
    const remove = row.querySelector(".stream-remove");
    remove?.setAttribute("aria-label", `Remove ${name}`);
    if (remove) confirmed(remove, () => this.#ask(name, removeStream));
    row.querySelector(".stream-record").addEventListener("click", async ({ currentTarget }) => {
      currentTarget.disabled = true;
      await this.#ask(name, this.recordingOf(name) ? stopRecording : startRecording);
      currentTarget.disabled = false;
    });
    return row;
  }

  #fill(row, item) {
    const watched = item.name === this.#watched;
    row.dataset.state = item.state;
    row.toggleAttribute("data-watched", watched);
    put(row, ".stream-name", item.name);
    put(row, ".stream-source", SOURCES[item.source] ?? item.source);
    row.querySelector(".stream-privacy").hidden = !item.privacy;
    put(row, ".stream-state", this.#stateText(item));
    const isOn = item.recording?.state === "recording";
    const ended = item.recording && !isOn ? `Not recorded any more: ${item.recording.reason}` : "";
    const reasons = [item.state === "live" ? "" : (item.reason ?? ""), ended, this.#refusal(item.name)];
    put(row, ".stream-reason", reasons.filter(Boolean).join(". "));
    row.querySelector(".rec").hidden = !isOn;
    put(row, ".rec-seconds", isOn ? `${Math.round(item.recording.seconds)} s` : "");
    put(row, ".stream-record", isOn ? "Stop recording" : "Record");
    row.querySelector(".stream-record").setAttribute("aria-label", `${isOn ? "Stop recording" : "Record"} ${item.name}`);
    this.#fillWatch(row.querySelector(".stream-watch"), item.name, watched);
    const edit = row.querySelector(".stream-edit");
    if (edit) edit.hidden = !item.added;
    this.#onRow(row, item);
  }

  #fillWatch(watch, name, watched) {
    if (!watch) return;
    watch.disabled = watched;
    watch.textContent = watched ? "Watching" : "Watch";
    watch.setAttribute("aria-label", `${watch.textContent} ${name}`);
  }

  #stateText(item) {
    const text = STATES[item.state] ?? item.state;
    if (item.retry_in_s === null) return text;
    const waitedS = (performance.now() - this.#firstSeen.get(stateKey(item))) / 1000;
    const leftS = Math.ceil(item.retry_in_s - waitedS);
    return leftS > 0 ? `${text} in ${leftS} s, try ${item.attempt + 1}` : `${text}, try ${item.attempt + 1}`;
  }

  /** Notes when each state was first seen: a wait counts from there, and no clock but ours is needed. */
  #noteStates() {
    const seen = new Map();
    for (const item of this.#items) {
      const key = stateKey(item);
      seen.set(key, this.#firstSeen.get(key) ?? performance.now());
    }
    this.#firstSeen = seen;
  }

  /** Has the server do something with a stream; says in its row for a while why not. */
  async #ask(name, request) {
    this.#refusals.delete(name);
    try {
      await request(name);
    } catch (error) {
      this.#refusals.set(name, { text: explain(error).advice, untilMs: performance.now() + REFUSAL_MS });
    }
    await this.refresh();
  }

  #refusal(name) {
    const refusal = this.#refusals.get(name);
    return refusal && performance.now() < refusal.untilMs ? refusal.text : "";
  }
}

const stateKey = ({ name, since, state, attempt }) => JSON.stringify([name, since, state, attempt]);

function put(row, selector, text) {
  const element = row.querySelector(selector);
  if (element && element.textContent !== text) element.textContent = text;
}
