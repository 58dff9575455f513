// Brings each picture and its result together and has them drawn in one go.

import { CaptureClock, median } from "./clock.js";
import { FrameRing, watchPictures } from "./frames.js";
import { Overlay } from "./overlay.js";

const RESULTS = 40;
const MAX_LAG_MS = 250;
const MAX_BOX_LAG_MS = 1500;
const INTERVALS = 30;
const RTP_TICKS_PER_MS = 90;

export class Stage {
  #video;
  #overlay;
  #events;
  #ring = new FrameRing();
  #clock = new CaptureClock(performance.timeOrigin);
  #results = [];
  #intervals = [];
  #newestResult = null;
  #drawn = null;
  #unwatch = () => {};
  #requested = 0;
  #isOwn = false;
  #isPrivate = false;

  /** onPicture(times, presented): a picture came in. onDrawn(drawn): a result was drawn for the first time. */
  constructor({ video, canvas, onPicture, onDrawn, onSize }) {
    this.#video = video;
    this.#overlay = new Overlay(canvas);
    this.#overlay.onResize = () => this.#redraw();
    this.#events = { onPicture, onDrawn, onSize };
  }

  /** Shows a MediaStream; null empties the stage. `isOwn`: it is this computer's camera and comes as it is; another's
   *  pictures come as they may be shown. `isPrivate`: whether to blur until the results say which faces. */
  show(stream, { isOwn = false, isPrivate = false } = {}) {
    this.#unwatch();
    this.#isOwn = isOwn;
    this.#isPrivate = isPrivate;
    this.reset();
    this.#ring.clear();
    this.#intervals = [];
    this.#drawn = null;
    this.#video.srcObject = stream;
    if (!stream) {
      this.#overlay.clear();
      return;
    }
    this.#video.play().catch(() => {}); // interrupted by the next show(): nothing is lost
    this.#unwatch = watchPictures(this.#video, (times, presented) => this.#takePicture(times, presented));
  }

  /** Forgets the results of a connection that is over; the picture goes on. */
  reset() {
    this.#results = [];
    this.#newestResult = null;
    this.#clock = new CaptureClock(performance.timeOrigin);
    if (this.#drawn) this.#drawn = Object.freeze({ ...this.#drawn, result: null, matched: false });
  }

  addResult(result, arrivedMs) {
    if (this.#newestResult && result.frame <= this.#newestResult.frame) return;
    this.#clock.observeArrival(result.captured_at, arrivedMs);
    this.#newestResult = result;
    this.#isPrivate = Boolean(result.veiled);
    this.#results.push(result);
    if (this.#results.length > RESULTS) this.#results.shift();
    this.#request();
  }

  /** What the canvas shows, or null: the picture's `width` and `height`, the `result` drawn on it (or null), whether
   *  the picture is the one the result is about (`matched`), by how much their times differ (`residualMs`), how long
   *  before the drawing the result's picture was captured (`ageMs`), and before the picture shown (`lagMs`). */
  get drawn() {
    return this.#drawn;
  }

  /** Whether faces are blurred in what is shown, or may have to be. */
  get isPrivate() {
    return this.#isPrivate;
  }

  get correctionMs() {
    return this.#clock.correctionMs;
  }

  get heldPictures() {
    return this.#ring.size;
  }

  /** The picture on the canvas without anything drawn on it, as a PNG data URL, or null. */
  picture() {
    return this.#drawn && this.#isHeld(this.#drawn) ? this.#drawn.slot.picture.toDataURL("image/png") : null;
  }

  #takePicture(times, presented) {
    if (!this.#video.videoWidth) return;
    const previous = this.#ring.newest();
    const slot = this.#ring.push(this.#video, times);
    if (previous && previous !== slot) {
      this.#intervals.push((slot.timeMs - previous.timeMs) / presented);
      if (this.#intervals.length > INTERVALS) this.#intervals.shift();
    }
    if (previous?.width !== slot.width || previous?.height !== slot.height) {
      this.#events.onSize(slot.width, slot.height);
    }
    this.#events.onPicture(times, presented);
    this.#request();
  }

  #request() {
    if (this.#requested) return;
    this.#requested = requestAnimationFrame(() => {
      this.#requested = 0;
      this.#compose(performance.now());
    });
  }

  #compose(nowMs) {
    const newest = this.#ring.newest();
    if (!newest) return;
    const drawnResult = this.#drawn?.result ?? null;
    const pair = this.#newestPair(newest, drawnResult);
    if (pair) this.#draw(pair.slot, pair.result, { ...pair, nowMs, isNew: true });
    else if (!this.#newestResult) this.#draw(newest, null, { nowMs });
    else if (!this.#isCurrent(newest)) this.#draw(newest, drawnResult, { nowMs });
  }

  /** The newest result not yet drawn that can be drawn now, with the picture it belongs to. One whose picture is still
   *  to come stays waiting; one whose picture was never shown, or is too old to show, is drawn on the newest picture
   *  only if nothing better was drawn of late. */
  #newestPair(newest, drawnResult) {
    for (let index = this.#results.length - 1; index >= 0; index -= 1) {
      const result = this.#results[index];
      if (drawnResult && result.frame <= drawnResult.frame) return null;
      const { slot, residualMs, isAhead } = this.#match(result, newest);
      if (isAhead) continue;
      this.#results.splice(0, index + 1);
      if (slot && newest.seenMs - slot.seenMs <= MAX_LAG_MS) return { result, slot, residualMs, matched: true };
      return this.#isCurrent(newest) ? null : { result, slot: newest, residualMs, matched: false };
    }
    return null;
  }

  /** Whether the canvas shows a picture with its own result that is not far behind the newest. */
  #isCurrent(newest) {
    return Boolean(this.#drawn?.matched) && newest.seenMs - this.#drawn.seenMs <= MAX_LAG_MS;
  }

  #match(result, newest) {
    if (Number.isInteger(result.rtp_timestamp) && newest.rtpTimestamp !== null) {
      const slot = this.#ring.withRtpTimestamp(result.rtp_timestamp);
      const isAhead = !slot && ((result.rtp_timestamp - newest.rtpTimestamp) | 0) > 0;
      return { slot, residualMs: slot ? 0 : null, isAhead };
    }
    const captureMs = this.#clock.toPage(result.captured_at);
    const nearest = this.#ring.nearest(captureMs);
    if (!nearest) return { slot: null, residualMs: null, isAhead: false };
    const residualMs = captureMs - nearest.timeMs;
    const tolerance = this.#toleranceMs();
    const isAhead = nearest === newest && residualMs > tolerance;
    if (!isAhead && Math.abs(residualMs) < 2 * tolerance) {
      this.#clock.observeResidual(residualMs - this.#clock.fineMs);
    }
    return { slot: Math.abs(residualMs) <= tolerance ? nearest : null, residualMs, isAhead };
  }

  /** How far a result's time may be from its picture's: under half the time between two pictures. */
  #toleranceMs() {
    const intervalMs = this.#intervals.length ? median(this.#intervals) : 33;
    return Math.min(8, Math.max(3, intervalMs * 0.3));
  }

  #draw(slot, result, { nowMs, matched = false, residualMs = null, isNew = false }) {
    const capturedMs = result && ((matched ? slot.captureMs : null) ?? this.#clock.toPage(result.captured_at));
    const ageMs = result && Math.max(0, nowMs - capturedMs);
    const lagMs = result && (matched ? 0 : lagOf(result, slot, ageMs));
    const { width, height, seenMs } = slot;
    this.#drawn = Object.freeze({ slot, seenMs, result, matched, residualMs, ageMs, lagMs, width, height });
    this.#paint(slot, this.#drawn);
    if (isNew) this.#events.onDrawn(this.#drawn, nowMs);
  }

  #paint(slot, { result, lagMs, matched }) {
    const tracks = result && lagMs <= MAX_BOX_LAG_MS ? result.tracks : [];
    const { width, height } = result ?? slot;
    const veiled = this.#veiled(result, matched && this.#isHeld(this.#drawn));
    const size = { frameWidth: width, frameHeight: height };
    const isPrivate = this.#isPrivate;
    this.#overlay.draw(slot.picture, tracks, { ...size, faded: lagMs > MAX_LAG_MS, veiled, isPrivate });
  }

  /** What to blur in a picture of our own: all of it (null) where its own result is not there to say. */
  #veiled(result, isOfPicture) {
    if (!this.#isOwn) return [];
    if (isOfPicture) return result.veiled ?? [];
    return this.#isPrivate ? null : [];
  }

  #redraw() {
    const drawn = this.#drawn;
    const slot = drawn && this.#isHeld(drawn) ? drawn.slot : this.#ring.newest();
    if (drawn && slot) this.#paint(slot, drawn);
  }

  /** Whether the ring still has the drawn picture: its slots are used again. */
  #isHeld(drawn) {
    return drawn.slot.seenMs === drawn.seenMs;
  }
}

/** How long before the picture in `slot` the result's own was taken, ms. A server's clock may differ from ours, RTP
 *  timestamps do not. */
function lagOf(result, slot, ageMs) {
  if (!Number.isInteger(result.rtp_timestamp) || slot.rtpTimestamp === null) return ageMs;
  return ((slot.rtpTimestamp - result.rtp_timestamp) | 0) / RTP_TICKS_PER_MS;
}
