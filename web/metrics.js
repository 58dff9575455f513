// Figures over the last few seconds. Pure: every time is handed in, in ms.

/** Events per second over a sliding window. */
export class Rate {
  #windowMs;
  #events = [];

  constructor(windowMs = 3000) {
    this.#windowMs = windowMs;
  }

  add(nowMs, count = 1) {
    this.#events.push({ nowMs, count });
    this.#trim(nowMs);
  }

  /** Events per second, or null before there are two. */
  perSecond(nowMs) {
    this.#trim(nowMs);
    if (this.#events.length < 2) return null;
    const [first, ...later] = this.#events;
    const spanMs = Math.max(nowMs - first.nowMs, 1);
    return (later.reduce((sum, event) => sum + event.count, 0) * 1000) / spanMs;
  }

  #trim(nowMs) {
    while (this.#events.length && nowMs - this.#events[0].nowMs > this.#windowMs) this.#events.shift();
  }
}

/** Every sample of the last few seconds, from the first on: none is left out as a warm-up. */
export class Samples {
  #windowMs;
  #samples = [];

  constructor(windowMs = 5000) {
    this.#windowMs = windowMs;
  }

  add(nowMs, value) {
    this.#samples.push({ nowMs, value });
    this.trim(nowMs);
  }

  trim(nowMs) {
    while (this.#samples.length && nowMs - this.#samples[0].nowMs > this.#windowMs) this.#samples.shift();
  }

  get count() {
    return this.#samples.length;
  }

  get last() {
    return this.#samples.at(-1)?.value ?? null;
  }

  /** [{nowMs, value}], oldest first. */
  get all() {
    return this.#samples;
  }

  /** The smallest sample that a fraction `p` of all samples do not exceed (nearest rank), or null. */
  percentile(p) {
    if (this.#samples.length === 0) return null;
    const sorted = this.#samples.map((sample) => sample.value).sort((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)];
  }

  mean() {
    if (this.#samples.length === 0) return null;
    return this.#samples.reduce((sum, sample) => sum + sample.value, 0) / this.#samples.length;
  }
}
