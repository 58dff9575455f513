// The newest pictures of a video element, each with the times that say which frame it is.

const CAPACITY = 12;
const MAX_SIDE = 1280;
const RTP_TOLERANCE_TICKS = 90; // 1 ms

/** A ring of pictures. Slots are canvases used again and again: nothing is allocated per frame and none of the
 *  camera's own buffers is held back (a handful of those held would stall the camera). */
export class FrameRing {
  #slots = [];
  #next = 0;

  constructor(capacity = CAPACITY) {
    this.capacity = capacity;
  }

  /** Copies the element's current picture. `captureMs` (page time) or `rtpTimestamp` identifies it; null if unknown. */
  push(video, { captureMs, rtpTimestamp, seenMs }) {
    const scale = Math.min(1, MAX_SIDE / Math.max(video.videoWidth, video.videoHeight, 1));
    const width = Math.max(1, Math.round(video.videoWidth * scale));
    const height = Math.max(1, Math.round(video.videoHeight * scale));
    const slot = (this.#slots[this.#next] ??= newSlot());
    if (slot.picture.width !== width || slot.picture.height !== height) {
      slot.picture.width = width;
      slot.picture.height = height;
    }
    slot.context.drawImage(video, 0, 0, width, height);
    const { videoWidth, videoHeight } = video;
    Object.assign(slot, { captureMs, rtpTimestamp, seenMs, timeMs: captureMs ?? seenMs });
    Object.assign(slot, { width: videoWidth, height: videoHeight });
    this.#next = (this.#next + 1) % this.capacity;
    return slot;
  }

  get size() {
    return this.#slots.filter((slot) => slot.seenMs !== null).length;
  }

  /** The picture pushed last, or null. */
  newest() {
    const slot = this.#slots[(this.#next + this.capacity - 1) % this.capacity];
    return slot && slot.seenMs !== null ? slot : null;
  }

  /** The picture nearest in time to `captureMs`, or null: by capture time, or when it was seen if that is unknown. */
  nearest(captureMs) {
    let best = null;
    for (const slot of this.#slots) {
      if (slot.seenMs === null) continue;
      if (!best || Math.abs(slot.timeMs - captureMs) < Math.abs(best.timeMs - captureMs)) best = slot;
    }
    return best;
  }

  /** The picture with this RTP timestamp, or null. Chromium gives some of them one tick off. */
  withRtpTimestamp(rtpTimestamp) {
    const isIt = (slot) => Math.abs((slot.rtpTimestamp - rtpTimestamp) | 0) <= RTP_TOLERANCE_TICKS;
    return this.#slots.find((slot) => slot.seenMs !== null && slot.rtpTimestamp !== null && isIt(slot)) ?? null;
  }

  /** Forgets all pictures and frees their memory. */
  clear() {
    for (const slot of this.#slots) slot.picture.width = slot.picture.height = 1;
    this.#slots = [];
    this.#next = 0;
  }
}

function newSlot() {
  const picture = document.createElement("canvas");
  const context = picture.getContext("2d", { alpha: false });
  return { picture, context, captureMs: null, timeMs: null, rtpTimestamp: null, seenMs: null, width: 0, height: 0 };
}

/** Calls `onPicture(times, presented)` for every picture the element shows; `presented` counts those since the last
 *  call. Returns a function that ends it. */
export function watchPictures(video, onPicture) {
  return "requestVideoFrameCallback" in video ? watchByCallback(video, onPicture) : watchByClock(video, onPicture);
}

function watchByCallback(video, onPicture) {
  let ended = false;
  let handle = 0;
  let presented = null;
  const step = (_now, metadata) => {
    if (ended) return;
    const count = presented === null ? 1 : Math.max(1, metadata.presentedFrames - presented);
    presented = metadata.presentedFrames;
    const seenMs = performance.now();
    onPicture({ captureMs: metadata.captureTime ?? null, rtpTimestamp: metadata.rtpTimestamp ?? null, seenMs }, count);
    handle = video.requestVideoFrameCallback(step);
  };
  handle = video.requestVideoFrameCallback(step);
  return () => {
    ended = true;
    video.cancelVideoFrameCallback(handle);
  };
}

/** For browsers without requestVideoFrameCallback: the picture is new when the element's time has moved. */
function watchByClock(video, onPicture) {
  let handle = 0;
  let shown = -1;
  const step = () => {
    if (video.currentTime !== shown && video.readyState >= 2) {
      shown = video.currentTime;
      onPicture({ captureMs: null, rtpTimestamp: null, seenMs: performance.now() }, 1);
    }
    handle = requestAnimationFrame(step);
  };
  handle = requestAnimationFrame(step);
  return () => cancelAnimationFrame(handle);
}
