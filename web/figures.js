// Collects what the page measures. One way: the stage and the session tell it, the HUD reads snapshots.

import { Rate, Samples } from "./metrics.js";

export class Figures {
  #pictures = new Rate();
  #results = new Rate();
  #latency = new Samples();
  #matched = new Samples();
  #result = null;
  #size = null;

  picture(nowMs, presented) {
    this.#pictures.add(nowMs, presented);
  }

  size(width, height) {
    this.#size = { width, height };
  }

  result(result, arrivedMs) {
    this.#results.add(arrivedMs);
    this.#result = result;
  }

  /** A result was drawn for the first time. */
  drawn({ ageMs, matched }, nowMs) {
    this.#latency.add(nowMs, ageMs);
    this.#matched.add(nowMs, matched ? 1 : 0);
  }

  /** All figures as of now; null where there is none yet. Latency is from a picture's capture to its result being
   *  drawn, over every result drawn in the last 5 s. */
  snapshot(nowMs) {
    this.#latency.trim(nowMs);
    this.#matched.trim(nowMs);
    const result = this.#result;
    return {
      fpsIn: this.#pictures.perSecond(nowMs),
      fpsOut: this.#results.perSecond(nowMs),
      latencyP50Ms: this.#latency.percentile(0.5),
      latencyP95Ms: this.#latency.percentile(0.95),
      latencySamples: this.#latency.count,
      latencyTrace: this.#latency.all.map(({ nowMs: atMs, value }) => ({ atMs, value })),
      matchedShare: this.#matched.mean(),
      width: this.#size?.width ?? null,
      height: this.#size?.height ?? null,
      frame: result?.frame ?? null,
      analysedWidth: result?.width ?? null,
      analysedHeight: result?.height ?? null,
      tracks: result ? result.tracks.length : null,
      dropped: { ...result?.dropped },
      timingMs: { ...result?.timing_ms },
    };
  }

  reset() {
    this.#pictures = new Rate();
    this.#size = null;
    this.resetResults();
  }

  /** For a new connection while the camera goes on. */
  resetResults() {
    this.#results = new Rate();
    this.#latency = new Samples();
    this.#matched = new Samples();
    this.#result = null;
  }
}
