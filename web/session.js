// A session as people see it: connect, be live, and after a loss try again with growing pauses until stopped.

import { explain } from "./failures.js";

const PAUSES_S = [1, 2, 5, 10];

/** phase: connecting | live | waiting (failure, retryAtMs) | failed (failure) | ended. */
export class Session {
  #connect;
  #onChange;
  #stop = new AbortController();
  #wake = () => {};
  peer = null;
  phase = "connecting";
  failure = null;
  retryAtMs = null;

  /** `connect(signal)` gives a connected Peer or throws Failure; `onChange(session)` follows every change. */
  constructor({ connect, onChange }) {
    this.#connect = connect;
    this.#onChange = onChange;
  }

  /** Runs until stopped, or until something trying again cannot mend. Never throws. */
  async run() {
    let losses = 0;
    while (!this.#stop.signal.aborted) {
      this.#change("connecting");
      let failure;
      try {
        this.peer = await this.#connect(this.#stop.signal);
        losses = 0;
        if (this.#stop.signal.aborted) break;
        this.#change("live");
        failure = await Promise.race([this.peer.ended, aborted(this.#stop.signal)]);
      } catch (error) {
        failure = explain(error);
      }
      this.peer?.close();
      this.peer = null;
      if (this.#stop.signal.aborted) break;
      if (!failure.retry) {
        this.#change("failed", failure);
        return;
      }
      const pauseS = failure.retryAfterS ?? PAUSES_S[Math.min(losses, PAUSES_S.length - 1)];
      losses += 1;
      this.#change("waiting", failure, performance.now() + pauseS * 1000);
      await this.#pause(pauseS * 1000);
    }
    this.peer?.close();
    this.peer = null;
    this.#change("ended");
  }

  /** Tries again at once instead of waiting. */
  retryNow() {
    this.#wake();
  }

  /** Ends the session; the server hears of it at once, even while the page is closing. */
  stop() {
    this.#stop.abort();
    this.peer?.close();
    this.#wake();
  }

  #change(phase, failure = null, retryAtMs = null) {
    Object.assign(this, { phase, failure, retryAtMs });
    this.#onChange(this);
  }

  #pause(durationMs) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, durationMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function aborted(signal) {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(null)));
}
