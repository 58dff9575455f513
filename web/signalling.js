// HTTP with the server: WHIP and WHEP (RFC 9725) and the list of streams. Throws Failure, nothing else.

import { Failure, serverRefused, serverUnreachable } from "./failures.js";

const REQUEST_TIMEOUT_MS = 15_000;
const TRIAL_TIMEOUT_MS = 60_000;
const AS_JSON = { "Content-Type": "application/json", Accept: "application/json" };

/** Offers a session. Returns {answer, resource}: the SDP answer and the address that ends the session. */
export async function offerSession(path, sdp, signal) {
  const headers = { "Content-Type": "application/sdp", Accept: "application/sdp" };
  const response = await request(path, { method: "POST", headers, body: sdp, signal });
  const location = response.headers.get("Location");
  return { answer: await response.text(), resource: location && new URL(location, response.url).href };
}

/** Ends a session. Also works while the page is closing. Never throws: a session that is left over times out. */
export async function endSession(resource) {
  if (!resource) return;
  try {
    await fetch(resource, { method: "DELETE", keepalive: true });
  } catch {
    // The server is gone, and the session with it.
  }
}

/** STUN and TURN servers named by the server in Link headers (RFC 9725 section 4.6). */
export async function iceServers(path, signal) {
  const response = await request(path, { method: "OPTIONS", signal });
  return parseIceLinks(response.headers.get("Link") ?? "");
}

export function parseIceLinks(header) {
  const servers = [];
  for (const [, urls, parameters] of header.matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:\\.|[^"\\])*"|[^\s;,"]*))*)/g)) {
    const values = {};
    for (const [, key, quoted, bare] of parameters.matchAll(/([\w-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s;,"]*))/g)) {
      values[key.toLowerCase()] = quoted === undefined ? bare : quoted.replace(/\\(.)/g, "$1");
    }
    if (values.rel !== "ice-server") continue;
    const server = { urls };
    if (values.username !== undefined) server.username = values.username;
    if (values.credential !== undefined) server.credential = values.credential;
    servers.push(server);
  }
  return servers;
}

/** Whether the server still has a session; null if it does not answer. */
export async function hasSession(resource) {
  try {
    const response = await fetch(resource, { cache: "no-store", signal: AbortSignal.timeout(2000) });
    return response.status !== 404;
  } catch {
    return null;
  }
}

export async function listStreams() {
  return (await request("/streams", { headers: { Accept: "application/json" }, cache: "no-store" })).json();
}

export async function addStream({ name, source, mode, privacy = false }) {
  const body = JSON.stringify({ name, source, mode, privacy });
  return (await request("/streams", { method: "POST", headers: AS_JSON, body })).json();
}

/** Changes what is in `change`: name, source, mode, record. Returns the stream as it is then. */
export async function changeStream(name, change) {
  const body = JSON.stringify(change);
  return (await request(`/streams/${encodeURIComponent(name)}`, { method: "PATCH", headers: AS_JSON, body })).json();
}

/** Tries a connection: {source}, {stream} or both. */
export async function tryStream(wanted) {
  const options = { method: "POST", headers: AS_JSON, body: JSON.stringify(wanted), timeoutMs: TRIAL_TIMEOUT_MS };
  return (await request("/streams/test", options)).json();
}

/** The newest picture of a stream with its overlay, at most `width` pixels wide, as {blob, etag}; null if it is still
 *  the one that `etag` names. */
export async function newestPicture(name, { width, etag, signal }) {
  const headers = etag ? { "If-None-Match": etag } : {};
  const path = `/streams/${encodeURIComponent(name)}/snapshot.jpg?width=${width}`;
  const response = await request(path, { headers, signal, cache: "no-store", timeoutMs: 5000 });
  if (response.status === 304) return null;
  return { blob: await response.blob(), etag: response.headers.get("ETag") };
}

export async function removeStream(name) {
  await request(`/streams/${encodeURIComponent(name)}`, { method: "DELETE" });
}

/** Everything the decisions about a face rest on. */
export async function explainTrack(stream, trackId) {
  const path = `/streams/${encodeURIComponent(stream)}/tracks/${trackId}/why`;
  return (await request(path, { headers: { Accept: "application/json" }, cache: "no-store" })).json();
}

/** The newest result of a stream. */
export async function newestResult(stream) {
  const path = `/streams/${encodeURIComponent(stream)}/tracks`;
  return (await request(path, { headers: { Accept: "application/json" }, cache: "no-store" })).json();
}

/** The newest picture of a stream as others may see it, as a bitmap. */
export async function newestBitmap(stream) {
  const response = await request(`/streams/${encodeURIComponent(stream)}/snapshot.jpg`, { cache: "no-store" });
  return createImageBitmap(await response.blob());
}

export async function startRecording(name) {
  return (await request(`/streams/${encodeURIComponent(name)}/recording`, { method: "POST" })).json();
}

export async function stopRecording(name) {
  return (await request(`/streams/${encodeURIComponent(name)}/recording`, { method: "DELETE" })).json();
}

/** The newest recordings: {recordings, total, bytes}. */
export async function listRecordings() {
  return (await request("/recordings?limit=50", { headers: { Accept: "application/json" }, cache: "no-store" })).json();
}

/** The response with a recording's results as JSON Lines. */
export function recordedResults(id) {
  return request(`/recordings/${encodeURIComponent(id)}/results`, { cache: "no-store" });
}

export async function deleteRecording(id) {
  await request(`/recordings/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/** The replay of a recording, at work or over. */
export async function replayOf(id) {
  return (await request(replayPath(id), { headers: { Accept: "application/json" }, cache: "no-store" })).json();
}

export async function startReplay(id) {
  return (await request(replayPath(id), { method: "POST", headers: { Accept: "application/json" } })).json();
}

export async function stopReplay(id) {
  await request(replayPath(id), { method: "DELETE" });
}

const replayPath = (id) => `/recordings/${encodeURIComponent(id)}/replay`;

/** A request that answers in time and well, or throws Failure. */
export async function request(path, { signal, timeoutMs = REQUEST_TIMEOUT_MS, ...options }) {
  const limit = AbortSignal.timeout(timeoutMs);
  let response;
  try {
    response = await fetch(path, { ...options, signal: signal ? AbortSignal.any([signal, limit]) : limit });
  } catch (error) {
    if (signal?.aborted) throw new Failure("stopped", "Stopped", "");
    throw serverUnreachable(error);
  }
  if (response.ok || response.status === 304) return response;
  if (response.status === 401) location.reload(); // the token is over: in this page's place comes the one to sign in
  throw await refusal(response);
}

async function refusal(response) {
  let problem = {};
  try {
    problem = JSON.parse(await response.text());
  } catch {
    // Not a problem document: the status alone has to do.
  }
  const code = typeof problem?.code === "string" ? problem.code : null;
  const detail = typeof problem?.detail === "string" ? problem.detail : null;
  const retryAfterS = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return serverRefused(response.status, code, detail, Number.isNaN(retryAfterS) ? null : retryAfterS);
}
