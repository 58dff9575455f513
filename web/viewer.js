// What is on the stage: nothing, the camera or a stream. Opens, connects, retries and ends it.

import { closeCamera, openCamera } from "./camera.js";
import { cameraFailure, explain } from "./failures.js";
import { Peer } from "./peer.js";
import { Session } from "./session.js";

const NOTHING = Object.freeze({ kind: "idle", name: null, session: null, camera: null });

export class Viewer {
  #stage;
  #figures;
  #choices;
  #onChange;
  #onReturned;
  /** Replaced as a whole with each start and stop: whoever waited compares it to see whether they are still wanted. */
  #shown = NOTHING;
  /** The name of this page's camera, which it asks for when it connects again. */
  #published = null;

  /** idle | opening | connecting | live | quiet | waiting | failed. */
  phase = "idle";
  failure = null;
  retryAtMs = null;

  /** choices(): {deviceId, resolutionId, returned, mode, privacy, isPrivate} as chosen now; `isPrivate` also where the
   *  server may blur unasked. onChange(viewer): anything changed.
   *  onReturned(stream): the video the server drew on, or null. */
  constructor({ stage, figures, choices, onChange, onReturned }) {
    this.#stage = stage;
    this.#figures = figures;
    this.#choices = choices;
    this.#onChange = onChange;
    this.#onReturned = onReturned;
  }

  /** idle | camera | watch. */
  get kind() {
    return this.#shown.kind;
  }

  /** The name of the stream being watched, or null. */
  get name() {
    return this.#shown.name;
  }

  get session() {
    return this.#shown.session;
  }

  /** The open camera's id, or null. */
  get deviceId() {
    return this.#shown.camera?.getVideoTracks()[0].getSettings().deviceId ?? null;
  }

  /** Ends whatever is shown and frees the camera and the session on the server. */
  stop() {
    const { session, camera } = this.#shown;
    this.#shown = NOTHING;
    session?.stop();
    closeCamera(camera);
    this.#onReturned(null);
    this.#stage.show(null);
    this.#figures.reset();
    this.#change("idle");
  }

  async startCamera() {
    this.stop();
    const attempt = (this.#shown = { kind: "camera", name: null, session: null, camera: null });
    this.#change("opening");
    try {
      const camera = await openCamera(this.#choices());
      if (this.#shown !== attempt) {
        closeCamera(camera);
        return;
      }
      this.#publish(camera);
    } catch (error) {
      if (this.#shown === attempt) this.#change("failed", explain(error));
    }
  }

  /** Another camera or resolution was chosen: the connection stays, only its track is replaced. */
  async changeCamera() {
    const { kind, session, camera: old } = this.#shown;
    if (kind !== "camera") return;
    if (!session?.peer) {
      await this.startCamera();
      return;
    }
    closeCamera(old); // many cameras can be opened only once
    try {
      const camera = await openCamera(this.#choices());
      if (this.#shown.session !== session) {
        closeCamera(camera);
        return;
      }
      this.#shown = { ...this.#shown, camera };
      this.#takeCamera(camera);
      await session.peer?.replaceTrack(camera.getVideoTracks()[0]);
      this.#change(this.phase, this.failure, this.retryAtMs);
    } catch (error) {
      if (this.#shown.session === session) this.#fail(explain(error));
    }
  }

  watch(name) {
    this.stop();
    const session = this.#connect(() => `/whep/${encodeURIComponent(name)}`, {
      prepare: (pc) => pc.addTransceiver("video", { direction: "recvonly" }),
      onStream: (stream) => this.#stage.show(stream),
    });
    this.#shown = { kind: "watch", name, session, camera: null };
    session.run();
  }

  /** Does again what failed, or at once what is waited for. */
  retry() {
    if (this.phase === "waiting") this.session?.retryNow();
    else if (this.kind === "watch") this.watch(this.name);
    else this.startCamera();
  }

  #publish(camera) {
    const { mode, privacy } = this.#choices();
    const options = `mode=${mode}${privacy ? "&privacy=true" : ""}`;
    const session = this.#connect(() => `/whip?${options}${this.#published ? `&name=${this.#published}` : ""}`, {
      prepare: (pc) => {
        const direction = this.#choices().returned ? "sendrecv" : "sendonly";
        const now = this.#shown.camera;
        pc.addTransceiver(now.getVideoTracks()[0], { direction, streams: [now] });
      },
      onStream: (stream) => this.#onReturned(stream),
    });
    this.#published = null;
    this.#shown = { kind: "camera", name: null, session, camera };
    this.#takeCamera(camera);
    session.run();
  }

  #takeCamera(camera) {
    camera.getVideoTracks()[0].addEventListener("ended", () => {
      if (this.#shown.camera === camera) this.#fail(cameraFailure("unplugged"));
    });
    this.#figures.reset();
    this.#stage.show(camera, { isOwn: true, isPrivate: this.#choices().isPrivate });
  }

  /** The camera is gone: ends the session, keeps saying why. */
  #fail(failure) {
    this.stop();
    this.#shown = { kind: "camera", name: null, session: null, camera: null };
    this.#change("failed", failure);
  }

  #connect(pathNow, { prepare, onStream }) {
    const session = new Session({
      connect: async (signal) => {
        this.#stage.reset();
        this.#figures.resetResults();
        const mine = (use) => (...args) => this.#shown.session === session && use(...args);
        const connected = () => Peer.connect({
          path: pathNow(),
          signal,
          prepare,
          onStream: mine(onStream),
          onQuiet: mine((quiet) => this.#change(quiet ? "quiet" : "live")),
          onResult: mine((result, arrivedMs) => {
            if (this.kind === "camera") this.#published = result.stream;
            this.#figures.result(result, arrivedMs);
            this.#stage.addResult(result, arrivedMs);
          }),
        });
        try {
          return await connected();
        } catch (failure) {
          if (failure.code !== "conflict" || !this.#published) throw failure;
          this.#published = null; // the connection that was lost still has the name
          return connected();
        }
      },
      onChange: () => this.#shown.session === session && this.#follow(session),
    });
    return session;
  }

  #follow(session) {
    if (session.phase === "waiting") this.#onReturned(null);
    this.#change(session.phase, session.failure, session.retryAtMs);
  }

  #change(phase, failure = null, retryAtMs = null) {
    Object.assign(this, { phase, failure, retryAtMs });
    this.#onChange(this);
  }
}
