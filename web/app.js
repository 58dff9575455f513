// Puts the page together. Data flows one way: signalling > session > viewer > figures and stage > HUD.

import { AddForm } from "./add_form.js";
import { listCameras, RESOLUTIONS } from "./camera.js";
import { Comparison } from "./comparison.js";
import { EditForm } from "./edit_form.js";
import { Enroll } from "./enroll.js";
import { Faces } from "./faces.js";
import { explain } from "./failures.js";
import { goOnAt } from "./focus.js";
import { Figures } from "./figures.js";
import { Hud } from "./hud.js";
import { rejectTrack } from "./gallery.js";
import { exposeState } from "./inspection.js";
import { Notice } from "./notice.js";
import { People } from "./people.js";
import { Player } from "./player.js";
import { Recordings } from "./recordings.js";
import { recordedResults } from "./signalling.js";
import { Stage } from "./stage.js";
import { Streams } from "./streams.js";
import { isPrivateServer } from "./veil.js";
import { Viewer } from "./viewer.js";
import { Why } from "./why.js";

const HUD_MS = 250;
const DEMO = "demo";
const find = (id) => document.getElementById(id);

const figures = new Figures();
const hud = new Hud(document);
const notice = new Notice({
  box: find("notice"),
  title: find("notice-title"),
  advice: find("notice-advice"),
  countdown: find("notice-countdown"),
  retry: find("notice-retry"),
  stop: find("notice-stop"),
});
const stage = new Stage({
  video: find("video"),
  canvas: find("picture"),
  onPicture: (times, presented) => figures.picture(times.seenMs, presented),
  onDrawn: (drawn, nowMs) => figures.drawn(drawn, nowMs),
  onSize: (width, height) => {
    figures.size(width, height);
    find("stage").style.setProperty("--aspect", `${width} / ${height}`);
  },
});
let isServerPrivate = true;
const viewer = new Viewer({
  stage,
  figures,
  choices: () => ({
    deviceId: find("camera").value,
    resolutionId: find("resolution").value,
    returned: find("returned-toggle").checked,
    mode: find("mode").value,
    privacy: find("privacy-toggle").checked,
    isPrivate: find("privacy-toggle").checked || isServerPrivate,
  }),
  onChange: present,
  onReturned: showReturned,
});
const player = new Player({
  dialog: find("player"),
  title: find("player-title"),
  video: find("player-video"),
  canvas: find("player-picture"),
  play: find("player-play"),
  back: find("player-back"),
  forward: find("player-forward"),
  seek: find("player-seek"),
  time: find("player-time"),
  about: find("player-about"),
  note: find("player-note"),
  saveVideo: find("player-save-video"),
  saveResults: find("player-save-results"),
  close: find("player-close"),
});
const comparison = new Comparison({
  box: find("player-comparison"),
  dialog: find("player"),
  onShow: (ptsS) => player.showAt(ptsS),
});
const recordings = new Recordings({
  list: find("recordings"),
  empty: find("recordings-empty"),
  summary: find("recordings-summary"),
  template: find("recording-row"),
  onPlay: (recording) => {
    player.open(recording, recordedResults);
    comparison.open(recording);
  },
});
const streams = new Streams({
  list: find("streams"),
  empty: find("streams-empty"),
  template: find("stream-row"),
  onWatch: watch,
  onEdit: (stream) => editForm.open(stream),
  onItems: (items) => recordings.follow(items),
});
const why = new Why();
const people = new People({
  list: find("people"),
  note: find("people-note"),
  more: find("people-more"),
});
const enroll = new Enroll({ onEnrolled: () => people.refresh() });
const faces = new Faces({
  list: find("faces"),
  empty: find("faces-empty"),
  onWhy: (face) => why.show(face),
  onEnroll: (face) => enroll.open(face),
  onReject: reject,
});

let shownDeviceId = null;

function present({ kind, name, phase, failure, retryAtMs, deviceId }) {
  const focused = document.activeElement;
  hud.showPhase(phase, kind);
  find("viewing").textContent = { idle: "", camera: "Your camera", watch: name }[kind];
  find("welcome").hidden = kind !== "idle";
  find("stop").disabled = kind === "idle";
  find("stage").toggleAttribute("data-active", kind !== "idle");
  streams.setWatched(kind === "watch" ? name : null);
  if (failure) {
    notice.show(failure, { retryAtMs, onRetry: () => viewer.retry(), onStop: () => viewer.stop() });
  } else {
    notice.hide();
  }
  goOnAt(find(kind === "idle" ? "start" : "stage"), focused);
  if (deviceId !== shownDeviceId) {
    shownDeviceId = deviceId;
    showCameras();
  }
}

function watch(name) {
  viewer.watch(name);
  find("stage").focus();
}

/** A stream that starts anew, maybe by another name, is watched again by who watched it. */
async function changeStream(name, change) {
  const { name: newName } = await streams.change(name, change);
  if (viewer.kind === "watch" && viewer.name === name) viewer.watch(newName);
}

/** The video that the server drew on, over the one drawn here; null takes it away. */
function showReturned(stream) {
  const wanted = stream !== null && find("returned-toggle").checked;
  find("returned").srcObject = wanted ? stream : null;
  find("returned").hidden = !wanted;
}

/** The names of cameras are known only once one was allowed. */
async function showCameras() {
  const cameras = await listCameras();
  const chosen = viewer.deviceId ?? find("camera").value;
  const options = cameras.map(({ deviceId, label }) => new Option(label, deviceId, false, deviceId === chosen));
  find("camera").replaceChildren(...(options.length ? options : [new Option("Default camera", "")]));
}

async function watchDemo() {
  const button = find("watch-demo");
  button.disabled = true;
  try {
    const running = streams.items.find(({ source }) => source === DEMO);
    if (!running) await streams.add({ name: DEMO, source: DEMO, mode: find("mode").value });
    watch(running?.name ?? DEMO);
  } catch (error) {
    notice.show(explain(error), { onRetry: watchDemo, onStop: () => viewer.stop() });
  }
  button.disabled = false;
}

/** Where the server blurs whatever is asked for, the choice is made. */
async function showPrivacy() {
  isServerPrivate = await isPrivateServer();
  for (const id of ["privacy-toggle", "add-privacy"]) {
    find(id).checked ||= isServerPrivate;
    find(id).disabled = isServerPrivate;
    find(id).closest("label").title = isServerPrivate ? "This server blurs them on every stream" : "";
  }
}

async function reject(face, personId) {
  try {
    await rejectTrack(personId, face);
  } catch (error) {
    notice.show(explain(error), { onRetry: () => reject(face, personId), onStop: () => notice.hide() });
  }
}

find("people-add").addEventListener("click", () => enroll.open(null));
find("resolution").replaceChildren(...RESOLUTIONS.map(({ id, label }) => new Option(label, id)));
find("start").addEventListener("click", () => viewer.startCamera());
find("watch-demo").addEventListener("click", watchDemo);
find("stop").addEventListener("click", () => viewer.stop());
find("camera").addEventListener("change", () => viewer.changeCamera());
find("resolution").addEventListener("change", () => viewer.changeCamera());
find("mode").addEventListener("change", () => viewer.kind === "camera" && viewer.startCamera());
find("returned-toggle").addEventListener("change", () => viewer.kind === "camera" && viewer.startCamera());
find("privacy-toggle").addEventListener("change", () => viewer.kind === "camera" && viewer.startCamera());
find("controls").addEventListener("submit", (event) => event.preventDefault());
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("close", () => document.activeElement === document.body && find("stage").focus()); // its opener is gone
}
navigator.mediaDevices?.addEventListener?.("devicechange", showCameras);
window.addEventListener("pagehide", () => viewer.stop());
new AddForm(document, { onAdd: (stream) => streams.add(stream) });
const editForm = new EditForm(document, { onChange: changeStream });

setInterval(() => {
  const nowMs = performance.now();
  hud.show(figures.snapshot(nowMs), stage.drawn, nowMs);
  faces.show(viewer.kind === "idle" ? null : (stage.drawn?.result ?? null));
  hud.showSituation(viewer, streams.describe(viewer.name), streams.summarize(viewer.name));
  hud.showPrivacy(viewer.kind !== "idle" && stage.isPrivate);
  hud.showRecording(streams.recordingOf(viewer.name ?? stage.drawn?.result?.stream), viewer.kind !== "idle");
}, HUD_MS);
streams.start();
people.refresh();
showCameras();
showPrivacy();
recordings.refresh();
const opened = new URLSearchParams(location.search).get("stream"); // a link from the wall
if (opened) watch(opened);
exposeState(viewer, { figures, stage, streams, player });
