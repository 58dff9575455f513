// The results of a recording, by time. Lines are kept as text and read when they are shown: there may be very many.

const NEAR_S = 0.004;
const PTS = /"pts_s":(-?[\d.]+(?:e[+-]?\d+)?)/;

export class RecordedResults {
  #times = [];
  #lines = [];

  get count() {
    return this.#times.length;
  }

  /** Takes a header line and then one result per line. `stopped()`: nobody wants the rest. */
  async read(response, stopped = () => false) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let isHeader = true;
    for (;;) {
      const { value, done } = await reader.read();
      if (done || stopped()) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!isHeader) this.add(line);
        isHeader = false;
      }
    }
    reader.cancel().catch(() => {});
  }

  add(line) {
    const ptsS = Number(PTS.exec(line)?.[1]);
    if (Number.isNaN(ptsS)) return;
    this.#times.push(ptsS);
    this.#lines.push(line);
  }

  /** The result of the picture at a time of the stream, or null if that was not analysed. */
  at(ptsS) {
    const after = this.#firstAfter(ptsS - NEAR_S);
    if (after >= this.#times.length || this.#times[after] > ptsS + NEAR_S) return null;
    return JSON.parse(this.#lines[after]);
  }

  /** The time of the next result after (1) or before (-1) the picture at a time, or null. */
  next(ptsS, direction) {
    const index = direction > 0 ? this.#firstAfter(ptsS + NEAR_S) : this.#firstAfter(ptsS - NEAR_S) - 1;
    return this.#times[index] ?? null;
  }

  /** Index of the first time that is not before `ptsS`. */
  #firstAfter(ptsS) {
    let low = 0;
    let high = this.#times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#times[middle] < ptsS) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
