// The wall: every stream side by side, each with its newest pictures and how it is.

import { Screens } from "./screens.js";
import { Streams } from "./streams.js";

const DASH = "–";
const find = (id) => document.getElementById(id);

const screens = new Screens();
const streams = new Streams({
  list: find("screens"),
  empty: find("empty"),
  template: find("screen"),
  onItems: show,
  onRow: fill,
});

function fill(row, item) {
  screens.follow(row, item);
  const open = row.querySelector(".screen-open");
  open.href = `./?stream=${encodeURIComponent(item.name)}`;
  open.setAttribute("aria-label", `Open ${item.name}`);
  put(row, ".screen-faces", item.state === "live" ? String(item.faces) : DASH);
  put(row, ".screen-fps", item.fps ? item.fps.toFixed(1) : DASH);
  put(row, ".screen-latency", item.fps && item.latency_ms !== null ? `${Math.round(item.latency_ms)} ms` : DASH);
}

function show(items) {
  const live = items.filter(({ state }) => state === "live").length;
  const columns = Math.max(1, Math.ceil(Math.sqrt(items.length)));
  find("screens").style.setProperty("--columns", columns);
  find("screens").style.setProperty("--rows", Math.ceil(items.length / columns) || 1);
  find("sum").dataset.phase = live === items.length ? (live ? "live" : "idle") : "waiting";
  put(document, "#sum-text", live === items.length ? count(live, "stream") : `${live} of ${count(items.length, "stream")} live`);
}

function put(root, selector, text) {
  const element = root.querySelector(selector);
  if (element.textContent !== text) element.textContent = text;
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

const full = find("full");
full.hidden = !document.fullscreenEnabled;
full.addEventListener("click", () => find("screens").requestFullscreen());
streams.start();
