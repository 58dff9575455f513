// Plays a recording: each picture with the boxes of exactly that picture, also when paused, stepped and sought.

import { Overlay } from "./overlay.js";
import { RecordedResults } from "./recorded_results.js";

const NEAR_S = 0.004;

export class Player {
  #parts;
  #video;
  #overlay;
  #picture = document.createElement("canvas");
  #entry = null;
  #part = 0;
  #results = new RecordedResults();
  #shown = null;
  #watch = 0;

  /** parts: the elements dialog, title, video, canvas, play, back, forward, seek, time, about, note, saveVideo, saveResults, close. */
  constructor(parts) {
    this.#parts = parts;
    this.#video = parts.video;
    this.#overlay = new Overlay(parts.canvas);
    this.#overlay.onResize = () => this.#draw();
    parts.close.addEventListener("click", () => parts.dialog.close());
    parts.dialog.addEventListener("close", () => this.#empty());
    parts.dialog.addEventListener("keydown", (event) => this.#onKey(event));
    parts.play.addEventListener("click", () => this.toggle());
    parts.back.addEventListener("click", () => this.step(-1));
    parts.forward.addEventListener("click", () => this.step(1));
    parts.seek.addEventListener("input", () => this.seek(Number(parts.seek.value)));
    this.#video.addEventListener("play", () => this.#showState());
    this.#video.addEventListener("pause", () => this.#showState());
    this.#video.addEventListener("ended", () => this.#goOn());
    this.#video.addEventListener("error", () => this.#explainError());
    if (!("requestVideoFrameCallback" in this.#video)) {
      for (const name of ["timeupdate", "seeked", "loadeddata"]) {
        this.#video.addEventListener(name, () => this.#take(this.#video.currentTime));
      }
    }
  }

  /** What is on the screen: {part, mediaTime, result, picture()}, or null. */
  get shown() {
    return this.#shown;
  }

  get paused() {
    return this.#video.paused;
  }

  /** Opens a recording (of GET /recordings) and plays it. `fetchResults(id)` gives the response with its results. */
  async open(entry, fetchResults) {
    this.#entry = entry;
    this.#results = new RecordedResults();
    this.#parts.title.textContent = `${entry.stream}, ${new Date(entry.started_at * 1000).toLocaleString()}`;
    this.#parts.seek.max = String(this.#totalS);
    this.#parts.note.textContent = "";
    this.#parts.saveResults.href = `/recordings/${entry.id}/results`;
    this.#parts.dialog.showModal();
    this.#load(0, 0);
    this.#video.play().catch(() => {});
    try {
      await this.#results.read(await fetchResults(entry.id), () => this.#entry !== entry);
    } catch (error) {
      if (this.#entry === entry) this.#parts.note.textContent = error.advice ?? String(error);
    }
    this.#draw();
  }

  toggle() {
    if (!this.#video.paused) this.#video.pause();
    else if (this.#video.ended && this.#part === this.#entry.parts.length - 1) this.seek(0, true);
    else this.#video.play().catch(() => {});
  }

  /** One picture on (1) or back (-1), and pauses. */
  step(direction) {
    if (!this.#shown) return;
    this.#video.pause();
    const part = this.#entry.parts[this.#part];
    const intervalS = part.pictures > 1 ? part.seconds / part.pictures : 0.04;
    const now = this.#shown.mediaTime;
    const analysed = this.#results.next(part.start_pts_s + now, direction);
    const analysedS = analysed === null ? null : analysed - part.start_pts_s;
    const isNext = analysedS !== null && Math.abs(analysedS - now) < 1.5 * intervalS;
    const target = isNext ? analysedS : now + direction * intervalS;
    if (target > part.last_pts_s - part.start_pts_s + NEAR_S) this.#change(this.#part + 1, 0);
    else if (target < -NEAR_S) this.#change(this.#part - 1, Infinity);
    else this.#video.currentTime = Math.max(0, target) + Math.min(0.25 * intervalS, 0.008);
  }

  /** To a time of the whole recording, in seconds. */
  seek(positionS, play = false) {
    let leftS = positionS;
    let part = 0;
    const parts = this.#entry.parts;
    while (part < parts.length - 1 && leftS >= parts[part].seconds) leftS -= parts[part++].seconds;
    if (part === this.#part) this.#video.currentTime = leftS;
    else this.#change(part, leftS);
    if (play) this.#video.play().catch(() => {});
  }

  /** The picture at a time of the stream, paused. */
  showAt(ptsS) {
    this.#video.pause();
    const { parts } = this.#entry;
    const later = parts.findIndex(({ start_pts_s: startS }) => startS > ptsS + NEAR_S);
    const part = Math.max(0, (later < 0 ? parts.length : later) - 1);
    const timeS = Math.max(0, ptsS - parts[part].start_pts_s) + NEAR_S;
    if (part === this.#part) this.#video.currentTime = timeS;
    else this.#change(part, timeS);
  }

  get #totalS() {
    return this.#entry.parts.reduce((sum, part) => sum + part.seconds, 0);
  }

  #beforeS(part) {
    return this.#entry.parts.slice(0, part).reduce((sum, one) => sum + one.seconds, 0);
  }

  #change(part, timeS) {
    if (part < 0 || part >= this.#entry.parts.length) return;
    this.#load(part, timeS);
  }

  #load(part, timeS) {
    const described = this.#entry.parts[part];
    const url = `/recordings/${this.#entry.id}/video?part=${part + 1}`;
    this.#part = part;
    this.#shown = null;
    this.#video.src = url;
    this.#parts.saveVideo.href = url;
    const lastS = described.last_pts_s - described.start_pts_s;
    if (timeS > 0) this.#video.currentTime = Math.min(timeS, lastS + NEAR_S);
    this.#watchPictures(++this.#watch);
  }

  #watchPictures(watch) {
    if (!("requestVideoFrameCallback" in this.#video)) return;
    this.#video.requestVideoFrameCallback((_now, { mediaTime }) => {
      if (watch !== this.#watch) return;
      this.#take(mediaTime);
      this.#watchPictures(watch);
    });
  }

  /** Takes the picture that the video element shows, which is that at `mediaTime` in its file. */
  #take(mediaTime) {
    const { videoWidth, videoHeight } = this.#video;
    if (!this.#entry || !videoWidth) return;
    Object.assign(this.#picture, { width: videoWidth, height: videoHeight });
    this.#picture.getContext("2d", { alpha: false }).drawImage(this.#video, 0, 0);
    this.#shown = { part: this.#part, mediaTime };
    this.#draw();
  }

  #draw() {
    if (!this.#shown) return;
    const { part, mediaTime } = this.#shown;
    const ptsS = this.#entry.parts[part].start_pts_s + mediaTime;
    const result = this.#results.at(ptsS);
    this.#shown = { part, mediaTime, result, picture: () => this.#picture.toDataURL("image/png") };
    const { width, height } = result ?? this.#picture;
    const size = { frameWidth: width, frameHeight: height };
    this.#overlay.draw(this.#picture, result?.tracks ?? [], { ...size, faded: false, isPrivate: this.#entry.privacy });
    this.#showState();
  }

  #showState() {
    const { play, seek, time, about } = this.#parts;
    play.textContent = this.#video.paused ? "Play" : "Pause";
    if (!this.#shown) return;
    const { part, mediaTime, result } = this.#shown;
    const positionS = this.#beforeS(part) + mediaTime;
    seek.value = String(positionS);
    seek.setAttribute("aria-valuetext", clock(positionS));
    time.textContent = `${clock(positionS)} of ${clock(this.#totalS)}`;
    about.textContent = result ? `Frame ${result.frame}, ${facesOf(result)}` : "This picture was not analysed";
  }

  #goOn() {
    if (this.#part + 1 >= this.#entry.parts.length) return;
    this.#load(this.#part + 1, 0);
    this.#video.play().catch(() => {});
  }

  #explainError() {
    if (!this.#entry || !this.#video.getAttribute("src")) return;
    const { codec } = this.#entry.parts[this.#part];
    this.#parts.note.textContent = `This browser cannot play this recording (${codec}). It can be saved and played elsewhere.`;
  }

  #onKey(event) {
    if (event.target === this.#parts.seek || event.altKey || event.ctrlKey || event.metaKey) return;
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!direction) return;
    event.preventDefault();
    this.step(direction);
  }

  #empty() {
    this.#watch += 1;
    this.#entry = this.#shown = null;
    this.#results = new RecordedResults();
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#overlay.clear();
  }
}

function facesOf({ tracks }) {
  return tracks.length === 1 ? "1 face" : `${tracks.length} faces`;
}

/** Minutes, seconds and hundredths. */
function clock(seconds) {
  const hundredths = Math.round(seconds * 100);
  const pad = (number) => String(number).padStart(2, "0");
  return `${Math.floor(hundredths / 6000)}:${pad(Math.floor(hundredths / 100) % 60)}.${pad(hundredths % 100)}`;
}
