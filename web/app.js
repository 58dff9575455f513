// Puts the page together. Data flows one way: signalling > session > figures and stage > HUD.

import { AddForm } from "./add_form.js";
import { closeCamera, listCameras, openCamera, RESOLUTIONS } from "./camera.js";
import { cameraFailure, explain } from "./failures.js";
import { Figures } from "./figures.js";
import { Hud } from "./hud.js";
import { exposeState } from "./inspection.js";
import { Notice } from "./notice.js";
import { Peer } from "./peer.js";
import { Session } from "./session.js";
import { Stage } from "./stage.js";
import { Streams } from "./streams.js";

const HUD_MS = 250;
const MODE = "fast";
const LATENCY_TITLES = {
  idle: "Latency, capture to drawn result",
  camera: "Latency, capture to drawn result",
  watch: "Latency, by the server's clock",
};
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
const streams = new Streams({
  list: find("streams"),
  empty: find("streams-empty"),
  template: find("stream-row"),
  onWatch: watch,
});

/** What is on the stage: {kind: idle | camera | watch, name, session, camera}. Replaced as a whole, never merged. */
let shown = { kind: "idle", name: null, session: null, camera: null };
let phase = "idle";
let failure = null;

function present(next) {
  shown = next;
  const active = next.kind !== "idle";
  find("welcome").hidden = active;
  find("stop").disabled = !active;
  find("latency-title").textContent = LATENCY_TITLES[next.kind];
  find("viewing").textContent = { idle: "", camera: "Your camera", watch: next.name }[next.kind];
  find("stage").toggleAttribute("data-active", active);
  streams.setWatched(next.kind === "watch" ? next.name : null);
}

function setPhase(nextPhase, nextFailure = null) {
  phase = nextPhase;
  failure = nextFailure;
  hud.showPhase(phase);
}

/** Ends whatever is on the stage and frees the camera and the session on the server. */
function stop() {
  const { session, camera } = shown;
  present({ kind: "idle", name: null, session: null, camera: null });
  session?.stop();
  closeCamera(camera);
  showReturned(null);
  stage.show(null);
  figures.reset();
  notice.hide();
  setPhase("idle");
}

async function startCamera() {
  stop();
  setPhase("opening");
  const attempt = { kind: "camera", name: null, session: null, camera: null };
  present(attempt);
  let camera;
  try {
    camera = await openCamera({ deviceId: find("camera").value, resolutionId: find("resolution").value });
  } catch (error) {
    if (shown === attempt) fail(explain(error), startCamera);
    return;
  }
  if (shown !== attempt) {
    closeCamera(camera);
    return;
  }
  takeCamera(camera);
  publish(camera);
}

function takeCamera(camera) {
  const [track] = camera.getVideoTracks();
  track.addEventListener("ended", () => {
    if (shown.camera !== camera) return;
    stop();
    fail(cameraFailure("unplugged"), startCamera);
  });
  stage.show(camera);
  figures.reset();
  showCameras(track.getSettings().deviceId);
}

function publish(camera) {
  const direction = find("returned-toggle").checked ? "sendrecv" : "sendonly";
  const session = connect(`/whip?mode=${MODE}`, {
    prepare: (pc) => pc.addTransceiver(camera.getVideoTracks()[0], { direction, streams: [camera] }),
    onStream: showReturned,
  });
  present({ kind: "camera", name: null, session, camera });
  session.run();
}

/** Another camera or resolution: the connection stays, only its track is replaced. */
async function changeCamera() {
  const { kind, session, camera: old } = shown;
  if (kind !== "camera") return;
  if (!session?.peer) {
    startCamera();
    return;
  }
  closeCamera(old);
  try {
    const camera = await openCamera({ deviceId: find("camera").value, resolutionId: find("resolution").value });
    if (shown.session !== session || !session.peer) {
      closeCamera(camera);
      if (shown.session === session) startCamera();
      return;
    }
    shown = { ...shown, camera };
    takeCamera(camera);
    await session.peer.replaceTrack(camera.getVideoTracks()[0]);
  } catch (error) {
    if (shown.session !== session) return;
    stop();
    fail(explain(error), startCamera);
  }
}

function watch(name) {
  stop();
  const session = connect(`/whep/${encodeURIComponent(name)}`, {
    prepare: (pc) => pc.addTransceiver("video", { direction: "recvonly" }),
    onStream: (stream) => stage.show(stream),
  });
  present({ kind: "watch", name, session, camera: null });
  find("stage").focus({ preventScroll: false });
  session.run();
}

function connect(path, { prepare, onStream }) {
  const session = new Session({
    connect: (signal) => {
      stage.reset();
      figures.resetResults();
      const mine = (use) => (...args) => shown.session === session && use(...args);
      return Peer.connect({
        path,
        signal,
        prepare,
        onStream: mine(onStream),
        onQuiet: mine((quiet) => setPhase(quiet ? "quiet" : "live")),
        onResult: mine((result, arrivedMs) => {
          figures.result(result, arrivedMs);
          stage.addResult(result, arrivedMs);
        }),
      });
    },
    onChange: () => shown.session === session && follow(session),
  });
  return session;
}

function follow(session) {
  setPhase(session.phase, session.failure);
  if (session.phase === "live" || session.phase === "connecting") notice.hide();
  if (session.phase === "waiting") {
    showReturned(null);
    const onRetry = () => session.retryNow();
    notice.show(session.failure, { retryAtMs: session.retryAtMs, onRetry, onStop: stop });
  }
  if (session.phase === "failed") {
    const again = shown.kind === "camera" ? startCamera : () => watch(shown.name);
    notice.show(session.failure, { onRetry: again, onStop: stop });
  }
}

function fail(nextFailure, onRetry) {
  setPhase("failed", nextFailure);
  find("welcome").hidden = true;
  notice.show(nextFailure, { onRetry, onStop: stop });
}

/** The video that the server drew on, over the one drawn here; null to take it away. */
function showReturned(stream) {
  const element = find("returned");
  const wanted = stream !== null && find("returned-toggle").checked;
  element.srcObject = wanted ? stream : null;
  element.hidden = !wanted;
}

async function showCameras(activeId = find("camera").value) {
  const cameras = await listCameras();
  const options = cameras.map(({ deviceId, label }) => new Option(label, deviceId, false, deviceId === activeId));
  find("camera").replaceChildren(...(options.length ? options : [new Option("Default camera", "")]));
}

async function watchDemo() {
  const item = streams.items.find(({ source }) => source === "demo");
  try {
    if (!item) await streams.add({ name: "demo", source: "demo", mode: MODE });
    watch(item?.name ?? "demo");
  } catch (error) {
    fail(explain(error), watchDemo);
  }
}

find("resolution").replaceChildren(...RESOLUTIONS.map(({ id, label }) => new Option(label, id)));
find("start").addEventListener("click", startCamera);
find("watch-demo").addEventListener("click", watchDemo);
find("stop").addEventListener("click", stop);
find("camera").addEventListener("change", changeCamera);
find("resolution").addEventListener("change", changeCamera);
find("returned-toggle").addEventListener("change", () => {
  if (shown.kind === "camera") startCamera();
});
find("controls").addEventListener("submit", (event) => event.preventDefault());
navigator.mediaDevices?.addEventListener?.("devicechange", () => showCameras());
window.addEventListener("pagehide", stop);
new AddForm(document, { mode: MODE, onAdd: (stream) => streams.add(stream) });

setInterval(() => {
  const nowMs = performance.now();
  hud.show(figures.snapshot(nowMs), stage.drawn, nowMs);
}, HUD_MS);
streams.start();
showCameras();

exposeState(() => ({ ...shown, phase, failure }), { figures, stage, streams });
