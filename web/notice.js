// What failed and what to do, over the video.

/** Shows one failure at a time; counts down to the next try where there is one. */
export class Notice {
  #elements;
  #timer = 0;
  #onRetry = () => {};
  #onStop = () => {};

  /** elements: {box, title, advice, countdown, retry, stop}. */
  constructor(elements) {
    this.#elements = elements;
    elements.retry.addEventListener("click", () => this.#onRetry());
    elements.stop.addEventListener("click", () => this.#onStop());
  }

  show(failure, { retryAtMs = null, onRetry, onStop }) {
    const { box, title, advice, retry, stop } = this.#elements;
    this.#onRetry = onRetry;
    this.#onStop = onStop;
    clearInterval(this.#timer);
    box.dataset.code = failure.code;
    title.textContent = failure.title;
    advice.textContent = failure.advice;
    retry.textContent = retryAtMs === null ? "Try again" : "Try now";
    stop.textContent = retryAtMs === null ? "Close" : "Stop";
    this.#count(retryAtMs);
    if (retryAtMs !== null) this.#timer = setInterval(() => this.#count(retryAtMs), 250);
    box.hidden = false;
  }

  hide() {
    clearInterval(this.#timer);
    this.#elements.box.hidden = true;
    delete this.#elements.box.dataset.code;
  }

  #count(retryAtMs) {
    const { countdown } = this.#elements;
    countdown.hidden = retryAtMs === null;
    if (retryAtMs === null) return;
    const text = `Trying again in ${Math.max(1, Math.ceil((retryAtMs - performance.now()) / 1000))} s`;
    if (countdown.textContent !== text) countdown.textContent = text;
  }
}
