// The webcam tab of the demo page: the same viewer, stage and overlay as on the main page, on other elements.

import { Figures } from "./figures.js";
import { Stage } from "./stage.js";
import { isPrivateServer } from "./veil.js";
import { Viewer } from "./viewer.js";

const SHOW_MS = 250;
const PHASES = {
  idle: "Not connected",
  opening: "Waiting for the camera. If the browser asks, allow it.",
  connecting: "Connecting",
  live: "Live",
  quiet: "The server is there but sends no results",
  waiting: "Trying again",
  failed: "Failed",
};

/** Brings the tab to life and returns its viewer. */
function bind(root) {
  let isPrivate = true;
  isPrivateServer().then((found) => (isPrivate = found));
  const part = (name) => root.querySelector(`[data-part=${name}]`);
  const figures = new Figures();
  const stage = new Stage({
    video: part("video"),
    canvas: part("canvas"),
    onPicture: (times, presented) => figures.picture(times.seenMs, presented),
    onDrawn: (drawn, nowMs) => figures.drawn(drawn, nowMs),
    onSize: (width, height) => part("canvas").style.setProperty("aspect-ratio", `${width} / ${height}`),
  });
  const viewer = new Viewer({
    stage,
    figures,
    choices: () => ({ deviceId: "", resolutionId: "640x480", returned: false, mode: part("mode").value, isPrivate }),
    onChange: present,
    onReturned: () => {},
  });

  function present({ kind, phase, failure }) {
    root.dataset.phase = phase;
    part("status").textContent = failure ? `${failure.title}. ${failure.advice}` : PHASES[phase];
    part("start").disabled = kind !== "idle" && phase !== "failed";
    part("stop").disabled = kind === "idle";
    part("welcome").hidden = kind !== "idle";
  }

  function show() {
    const { latencyP50Ms, fpsOut, tracks } = figures.snapshot(performance.now());
    part("latency").textContent = latencyP50Ms === null ? "–" : `${Math.round(latencyP50Ms)} ms`;
    part("rate").textContent = fpsOut === null ? "–" : fpsOut.toFixed(1);
    part("faces").textContent = tracks ?? "–";
  }

  part("start").addEventListener("click", () => viewer.startCamera());
  part("stop").addEventListener("click", () => viewer.stop());
  part("mode").addEventListener("change", () => viewer.kind === "camera" && viewer.startCamera());
  part("start").disabled = false; // a press before now would do nothing
  const timer = setInterval(show, SHOW_MS);
  return {
    root,
    end() {
      clearInterval(timer);
      viewer.stop();
    },
  };
}

let bound = null;

/** Gradio makes the tab's elements after this script has run, and may make them anew. */
function look() {
  const root = document.getElementById("demo-webcam");
  if (root === (bound?.root ?? null)) return;
  bound?.end();
  bound = root && bind(root);
}

new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
window.addEventListener("pagehide", () => bound?.end());
look();
