// Shows the figures and the state of the connection. Text goes in by textContent only.

import { say } from "./announce.js";
import { drawTrace } from "./charts.js";

const OLD_MS = 250;
const DASH = "–";

const PHASES = {
  idle: "Not connected",
  opening: "Starting camera",
  connecting: "Connecting",
  live: "Live",
  quiet: "No results",
  waiting: "Retrying",
  failed: "Failed",
};

const SITUATIONS = {
  opening: "Waiting for the camera. If the browser asks, allow it.",
  connecting: "Connecting",
  quiet: "The server is there but sends no results",
};

const LATENCY = "Latency, capture to drawn";
const LATENCY_BY_SERVER = "Latency, by the server's clock";

const DROPS = {
  stale: "a newer picture was there first",
  queue_full: "queue full",
  no_memory: "no memory",
  closed: "stream closed",
  unavailable: "not available",
  corrupt: "could not be decoded",
};

export class Hud {
  #root;
  #dropsShown = "";
  #timingShown = "";
  #spoken = "";

  constructor(root) {
    this.#root = root;
  }

  /** phase: a key of PHASES; kind: idle, camera or watch. */
  showPhase(phase, kind) {
    const pill = this.#find("connection");
    pill.dataset.phase = phase;
    setText(this.#find("connection-text"), PHASES[phase] ?? phase);
    setText(this.#find("latency-title"), kind === "watch" ? LATENCY_BY_SERVER : LATENCY);
  }

  /** Says over the video why there is nothing new to see, where nothing has failed. `stream` describes the stream
   *  being watched if it is not live, else null; `summary` too, without what changes every second: that is spoken. */
  showSituation({ phase }, stream, summary) {
    const isOpen = phase === "live" || phase === "quiet";
    const text = isOpen ? (stream ?? SITUATIONS[phase]) : SITUATIONS[phase];
    const line = this.#find("situation");
    line.hidden = !text;
    setText(line, text ?? "");
    const spoken = (isOpen ? (summary ?? SITUATIONS[phase]) : SITUATIONS[phase]) ?? "";
    if (spoken !== this.#spoken && spoken) say(spoken);
    this.#spoken = spoken;
  }

  /** `figures` as in Figures.snapshot; `drawn` as in Stage.drawn. */
  show(figures, drawn, nowMs) {
    this.#put("latency-p50", whole(figures.latencyP50Ms));
    this.#put("latency-p95", whole(figures.latencyP95Ms));
    this.#put("fps-in", tenths(figures.fpsIn));
    this.#put("fps-out", tenths(figures.fpsOut));
    this.#put("size", figures.width ? `${figures.width} × ${figures.height}` : DASH);
    this.#put("analysed-size", analysedSize(figures));
    this.#put("tracks", figures.tracks ?? DASH);
    this.#put("matched", figures.matchedShare === null ? DASH : `${Math.round(figures.matchedShare * 100)} %`);
    const drops = Object.entries(figures.dropped);
    this.#put("dropped", figures.frame === null ? DASH : drops.reduce((sum, [, count]) => sum + count, 0));
    this.#showDrops(drops.filter(([, count]) => count > 0));
    this.#showTiming(Object.entries(figures.timingMs));
    this.#showAge(drawn);
    drawTrace(this.#find("latency-trace"), figures.latencyTrace, { nowMs, mark: figures.latencyP95Ms });
  }

  /** Says over the picture that it is being recorded. */
  showRecording(recording, isShowing) {
    const sign = this.#find("rec");
    const isOn = Boolean(recording) && isShowing;
    if (isOn === !sign.hidden) return;
    sign.hidden = !isOn;
    say(isOn ? sign.title : "This stream is not recorded any more");
  }

  /** Says over the picture that people who are not enrolled are blurred in it. */
  showPrivacy(isPrivate) {
    this.#find("privacy").hidden = !isPrivate;
  }

  #showAge(drawn) {
    const badge = this.#find("age");
    const lagMs = drawn?.lagMs ?? 0;
    badge.hidden = lagMs <= OLD_MS;
    if (lagMs <= OLD_MS) return;
    setText(badge, `boxes ${lagMs < 1000 ? `${Math.round(lagMs)} ms` : `${Math.round(lagMs / 1000)} s`} old`);
  }

  #showDrops(drops) {
    const key = JSON.stringify(drops);
    if (key === this.#dropsShown) return;
    this.#dropsShown = key;
    const rows = drops.map(([reason, count]) => row(DROPS[reason] ?? reason.replaceAll("_", " "), String(count)));
    this.#find("drops").replaceChildren(...(rows.length ? rows : [row("none so far", "")]));
  }

  #showTiming(timing) {
    const key = JSON.stringify(timing.map(([stage, ms]) => [stage, tenths(ms)]));
    if (key === this.#timingShown) return;
    this.#timingShown = key;
    const rows = timing.map(([stage, ms]) => row(stage.replace(/_ms$/, "").replaceAll("_", " "), `${tenths(ms)} ms`));
    this.#find("timing").replaceChildren(...(rows.length ? rows : [row("no results yet", "")]));
  }

  #find(id) {
    return this.#root.getElementById(id);
  }

  #put(id, value) {
    setText(this.#find(id), String(value));
  }
}

function row(label, value) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  const figure = document.createElement("span");
  name.textContent = label;
  figure.textContent = value;
  item.append(name, figure);
  return item;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function analysedSize({ width, height, analysedWidth, analysedHeight }) {
  if (!analysedWidth || (analysedWidth === width && analysedHeight === height)) return "";
  return `analysed at ${analysedWidth} × ${analysedHeight}`;
}

const whole = (value) => (value === null ? DASH : String(Math.round(value)));
const tenths = (value) => (value === null ? DASH : value.toFixed(1));
