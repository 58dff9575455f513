// Relates the server's capture times to the times of the pictures this page shows. Pure: every time is handed in.
//
// A result names its picture by the sender's Unix time (RTCP sender reports). The browser gives the same instant as
// `captureTime` on the line of performance.now(). In Chromium the two differ by under 2 ms, so timeOrigin suffices.
// Two things can part them, and each has its own correction here:
//   - the computer slept or its clock was set after the browser started: any amount, found from the delays;
//   - the camera's own clock is translated a little differently for sending: a few ms, found from the matches.

const DELAYS = 120;
const RESIDUALS = 15;
const PLAUSIBLE_DELAY_MS = [-5, 10_000];
const LEAST_DELAY_MS = 4;
const WORTH_CORRECTING_MS = 3;
const STEADY_SPREAD_MS = 2;

export function median(values) {
  if (values.length === 0) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export class CaptureClock {
  #originMs;
  #delays = [];
  #residuals = [];
  #stepMs = 0;
  #fineMs = 0;

  /** originMs: Unix time in ms of zero on the page's time line (performance.timeOrigin). */
  constructor(originMs) {
    this.#originMs = originMs;
  }

  /** What is added to the server's times beyond the origin, ms. */
  get correctionMs() {
    return this.#stepMs + this.#fineMs;
  }

  /** The page's time in ms of a capture time in Unix seconds. */
  toPage(capturedAt) {
    return capturedAt * 1000 - this.#originMs + this.correctionMs;
  }

  /** Notes that a result captured at `capturedAt` (Unix seconds) arrived at `arrivedMs` (page time). */
  observeArrival(capturedAt, arrivedMs) {
    pushBounded(this.#delays, arrivedMs - (capturedAt * 1000 - this.#originMs), DELAYS);
    const least = Math.min(...this.#delays);
    const plausible = least >= PLAUSIBLE_DELAY_MS[0] && least <= PLAUSIBLE_DELAY_MS[1];
    this.#stepMs = plausible ? 0 : least - LEAST_DELAY_MS;
  }

  /** Notes how far a result's time was from that of the picture nearest to it, before the fine correction. */
  observeResidual(residualMs) {
    pushBounded(this.#residuals, residualMs, RESIDUALS);
    const centre = median(this.#residuals);
    const spread = median(this.#residuals.map((value) => Math.abs(value - centre)));
    const steady = this.#residuals.length === RESIDUALS && spread < STEADY_SPREAD_MS;
    this.#fineMs = steady && Math.abs(centre) > WORTH_CORRECTING_MS ? -centre : 0;
  }

  /** The fine part of the correction, ms: to be taken off a residual before it is observed. */
  get fineMs() {
    return this.#fineMs;
  }
}

function pushBounded(list, value, limit) {
  list.push(value);
  if (list.length > limit) list.shift();
}
