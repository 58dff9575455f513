// One WebRTC connection: from the offer to its end. What is sent or asked for is up to the caller (`prepare`).

import { connectionLost, endedByServer, explain, Failure, iceFailed, iceTimedOut, serverUnreachable, sessionGone } from "./failures.js";
import { endSession, hasSession, iceServers, offerSession } from "./signalling.js";

const CONNECT_TIMEOUT_S = 10;
const GATHER_LIMIT_MS = 1000;
const DISCONNECTED_GRACE_MS = 4000;
const SILENCE_MS = 2500;
const UNORDERED = { ordered: false, maxRetransmits: 0 };

export class Peer {
  #pc;
  #channel;
  #resource = null;
  #heardMs = performance.now();
  #timers = [];
  #settle;

  /** Settles with the Failure that ended a connection which had worked. */
  ended = new Promise((resolve) => (this.#settle = resolve));

  /** Connects. `prepare(pc)` adds transceivers; `onResult(result, arrivedMs)`, `onStream(mediaStream)` and
   *  `onQuiet(isQuiet)` are called as things arrive or stop arriving. Throws Failure. */
  static async connect({ path, prepare, onResult, onStream, onQuiet, signal }) {
    const peer = new Peer();
    try {
      await peer.#open({ path, prepare, onResult, onStream, signal });
      peer.#watch(onQuiet);
      return peer;
    } catch (error) {
      peer.close();
      throw explain(error);
    }
  }

  async #open({ path, prepare, onResult, onStream, signal }) {
    const pc = new RTCPeerConnection({ iceServers: await iceServers(path, signal) });
    this.#pc = pc;
    this.#channel = pc.createDataChannel("results", UNORDERED);
    this.#channel.addEventListener("message", ({ data }) => this.#receive(data, onResult));
    pc.addEventListener("track", ({ track, streams }) => onStream(streams[0] ?? new MediaStream([track])));
    prepare(pc);
    await pc.setLocalDescription();
    await gathered(pc);
    const { answer, resource } = await offerSession(path, pc.localDescription.sdp, signal);
    this.#resource = resource;
    const connected = reached(pc, signal);
    await Promise.all([pc.setRemoteDescription({ type: "answer", sdp: answer }), connected]);
    await keepResolution(pc);
  }

  /** Sends another track in place of the one being sent, without a new offer. */
  async replaceTrack(track) {
    const sender = this.#pc.getSenders().find((candidate) => candidate.track);
    await sender?.replaceTrack(track);
  }

  stats() {
    return this.#pc.getStats();
  }

  /** Ends the connection and frees the session on the server. Idempotent. */
  close() {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    this.#pc?.close();
    const resource = this.#resource;
    this.#resource = null;
    return endSession(resource);
  }

  #receive(data, onResult) {
    const arrivedMs = performance.now();
    this.#heardMs = arrivedMs;
    let result;
    try {
      result = JSON.parse(data);
    } catch {
      return;
    }
    if (Array.isArray(result?.tracks) && Number.isFinite(result.captured_at)) onResult(result, arrivedMs);
  }

  #watch(onQuiet) {
    const pc = this.#pc;
    let disconnectedMs = null;
    let quiet = false;
    let asking = false;
    this.#heardMs = performance.now();
    this.#channel.addEventListener("close", () => this.#settle(endedByServer()));
    pc.addEventListener("connectionstatechange", () => {
      if (pc.connectionState === "failed") this.#settle(connectionLost());
      disconnectedMs = pc.connectionState === "disconnected" ? performance.now() : null;
    });
    const look = async () => {
      const nowMs = performance.now();
      if (disconnectedMs !== null && nowMs - disconnectedMs > DISCONNECTED_GRACE_MS) this.#settle(connectionLost());
      const silent = nowMs - this.#heardMs > SILENCE_MS;
      if (silent !== quiet) onQuiet((quiet = silent));
      if (!silent || asking) return;
      asking = true;
      const there = await hasSession(this.#resource);
      if (there === null) this.#settle(serverUnreachable());
      else if (!there) this.#settle(sessionGone());
      asking = false;
    };
    this.#timers.push(setInterval(look, 500));
  }
}

function gathered(pc) {
  if (pc.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, GATHER_LIMIT_MS);
    pc.addEventListener("icegatheringstatechange", () => pc.iceGatheringState === "complete" && resolve());
  });
}

/** Waits until media can flow. Throws Failure when it cannot, or after 10 s. */
function reached(pc, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(iceTimedOut(CONNECT_TIMEOUT_S)), CONNECT_TIMEOUT_S * 1000);
    signal.addEventListener("abort", () => reject(new Failure("stopped", "Stopped", "")));
    const look = () => {
      if (pc.connectionState === "connected") resolve();
      else if (pc.connectionState === "failed") reject(iceFailed());
      else return;
      clearTimeout(timer);
    };
    pc.addEventListener("connectionstatechange", look);
    look();
  });
}

/** Browsers answer a slow start by sending smaller pictures; for faces, size matters more than smoothness. */
async function keepResolution(pc) {
  for (const sender of pc.getSenders()) {
    if (sender.track?.kind !== "video") continue;
    const parameters = sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    try {
      await sender.setParameters(parameters);
    } catch {
      // Not every browser has the choice; the pictures then vary in size, and the boxes with them.
    }
  }
}
