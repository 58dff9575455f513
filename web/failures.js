// Why something failed, said plainly, and what to do about it.

/** `retry`: trying again by itself can help. `retryAfterS`: not before then. */
export class Failure extends Error {
  constructor(code, title, advice, { retry = false, retryAfterS = null } = {}) {
    super(title);
    Object.assign(this, { code, title, advice, retry, retryAfterS });
  }
}

const CAMERA = {
  insecure_page: [
    "The camera needs a secure page",
    "Browsers give out the camera only on https:// or on localhost. Open this page over HTTPS, or on the computer " +
      "that runs the server. Streams can be watched here all the same.",
  ],
  unsupported: [
    "This browser has no camera access",
    "Use a current version of Chrome, Edge, Firefox or Safari.",
  ],
  denied: [
    "The camera is not allowed",
    "Allow the camera for this page in the address bar (the camera or padlock sign), then try again. If there is no " +
      "such sign, look in the privacy settings of the system.",
  ],
  missing: ["No camera was found", "Connect a camera, then try again. A virtual camera counts too."],
  busy: [
    "The camera is in use",
    "Another program or tab holds the camera, or it failed to start. Close it there, then try again.",
  ],
  unfit: [
    "The camera cannot do that",
    "It does not offer this resolution, or it is no longer there. Choose another one, then try again.",
  ],
  unplugged: ["The camera was disconnected", "Connect it again or choose another one, then try again."],
};

const CAMERA_ERRORS = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
  OverconstrainedError: "unfit",
};

export function cameraFailure(reason) {
  const [title, advice] = CAMERA[reason];
  return new Failure(`camera_${reason}`, title, advice);
}

/** Maps what getUserMedia threw. */
export function explainCameraError(error) {
  if (error instanceof Failure) return error;
  const failure = cameraFailure(CAMERA_ERRORS[error?.name] ?? "busy");
  if (!CAMERA_ERRORS[error?.name]) failure.advice += ` (${error?.name}: ${error?.message})`;
  return failure;
}

/** No answer to an HTTP request at all. */
export function serverUnreachable() {
  return new Failure("server_unreachable", "The server does not answer", "It may be restarting, or the network is down.", {
    retry: true,
  });
}

/** What is unavailable, by the problem's code; without one of these every place is taken. */
const UNAVAILABLE = {
  model_missing: "A model is not installed",
  runtime_missing: "A model cannot be run here",
  device_lost: "The device of the models does not answer",
  gallery_unusable: "The gallery cannot be used",
  gallery_in_use: "The gallery is in use",
};

/** An HTTP error; `detail` and `code` come from the server's problem document. */
export function serverRefused(status, code, detail, retryAfterS) {
  detail = detail && `${detail[0].toUpperCase()}${detail.slice(1)}`;
  if (status === 503 || status === 429) {
    const advice = detail || "All places are taken.";
    const title = UNAVAILABLE[code] ?? "The server is full";
    return new Failure(code || "overloaded", title, advice, { retry: true, retryAfterS });
  }
  if (status === 404) {
    return new Failure(code || "not_found", "This stream is not there", detail || "It was removed from the server.");
  }
  if (status >= 500) {
    const advice = detail || `It answered with status ${status}.`;
    return new Failure(code || "internal", "The server has a problem", advice, { retry: true, retryAfterS });
  }
  return new Failure(code || "refused", "The server refused", detail || `It answered with status ${status}.`);
}

const PATH_ADVICE =
  "The page loads, but video packets (UDP) do not get through. A firewall, a VPN or a guest network often blocks " +
  "them: try another network, or ask whoever runs the server to set up a TURN relay.";

export function iceFailed() {
  return new Failure("ice_failed", "No path for the video", PATH_ADVICE, { retry: true });
}

export function iceTimedOut(seconds) {
  return new Failure("ice_timeout", `No connection after ${seconds} seconds`, PATH_ADVICE, { retry: true });
}

export function connectionLost() {
  return new Failure("connection_lost", "The connection was lost", "The network changed or the server went away.", {
    retry: true,
  });
}

export function endedByServer() {
  return new Failure("ended_by_server", "The server ended the connection", "It may be restarting.", { retry: true });
}

export function sessionGone() {
  return new Failure("session_gone", "The server lost the connection", "What had it is started again.", {
    retry: true,
    retryAfterS: 0,
  });
}

/** Anything thrown on the way to a connection. */
export function explain(error) {
  if (error instanceof Failure) return error;
  return new Failure("page_error", "Something went wrong in this page", `${error?.name}: ${error?.message}`);
}
