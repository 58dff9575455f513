// The page of the people: who is here now, enrolled or said not to be somebody from here; who was here and not known.

import { element } from "./element.js";
import { Enroll } from "./enroll.js";
import { explain } from "./failures.js";
import { rejectTrack } from "./gallery.js";
import { People } from "./people.js";
import { Place } from "./place.js";
import { listStreams, request } from "./signalling.js";
import { tableOf } from "./table.js";
import { Why } from "./why.js";
import { lasted } from "./words.js";

const POLL_MS = 1500;
const PAGE = 50;
const NOT_KNOWN = ["unknown", "undecided"];
const find = (id) => document.getElementById(id);
const places = new Map();
const why = new Why();
const people = new People({ list: find("people"), note: find("people-note"), more: find("people-more") });
const enroll = new Enroll({ onEnrolled: () => people.refresh() });
let cursor = null;
let visits = [];

const actions = { onWhy: (face) => why.show(face), onEnroll: (face) => enroll.open(face), onReject: reject };

async function reject(face, personId) {
  find("here-error").textContent = "";
  try {
    await rejectTrack(personId, face);
  } catch (error) {
    say("here-error", error);
  }
}

/** Who is on the streams that compare faces, one stream after the other. */
async function look() {
  const streams = await listStreams();
  const comparing = streams.filter(({ mode, state }) => mode === "full" && state === "live");
  const names = new Set(comparing.map(({ name }) => name));
  for (const [name, place] of places) {
    if (names.has(name)) continue;
    place.remove();
    places.delete(name);
  }
  const came = names.size ? await arrivals() : new Map();
  for (const name of names) {
    if (!places.has(name)) places.set(name, new Place(find("places"), name, actions));
    await places.get(name).look(came);
  }
  const none = streams.length
    ? "No stream compares faces now: that is done in depth Full."
    : "No stream is running. Start one on the live page, in depth Full.";
  find("here-empty").textContent = none;
  find("here-empty").hidden = names.size > 0;
}

/** When the visits of the newest faces began: Unix time in seconds by "stream track"; empty where nobody notes it. */
async function arrivals() {
  try {
    const { events } = await ask(new URLSearchParams({ kind: "appeared", limit: 100 }));
    return new Map(events.map(({ stream, track, at }) => [`${stream} ${track}`, at]));
  } catch {
    return new Map();
  }
}

async function ask(query) {
  return (await request(`/events?${query}`, { headers: { Accept: "application/json" }, cache: "no-store" })).json();
}

async function poll() {
  if (!document.hidden) {
    try {
      await look();
      phase("live", "Live");
    } catch (error) {
      phase("failed", explain(error).title);
    }
  }
  setTimeout(poll, POLL_MS);
}

async function search(event) {
  event?.preventDefault();
  cursor = null;
  visits = [];
  await older();
}

async function older() {
  find("past-error").textContent = "";
  const wanted = find("who").value ? [find("who").value] : NOT_KNOWN;
  const asked = new URLSearchParams([["kind", "left"], ["limit", PAGE], ...wanted.map((one) => ["identity", one])]);
  if (find("stream").value.trim()) asked.append("stream", find("stream").value.trim());
  if (cursor) asked.append("cursor", cursor);
  try {
    const { events, next_cursor: next } = await ask(asked);
    visits.push(...events.filter(({ because }) => because !== "same_person"));
    cursor = next;
  } catch (error) {
    if (explain(error).code === "not_found") find("past-error").textContent = "Events are switched off (events.enabled), so nobody’s visits are noted.";
    else say("past-error", error);
  }
  find("older").hidden = !cursor;
  const heads = ["came", "stream", "stayed", "face", "who"];
  const rows = visits.map(({ at, duration_s: stayed, stream, track, identity }) => [
    new Date((at - stayed) * 1000).toLocaleString(),
    stream,
    lasted(stayed),
    track,
    identity === "unknown" ? "unknown" : "not decided",
  ]);
  find("past").replaceChildren(rows.length ? tableOf(heads, rows, ["face"]) : element("p.empty", {}, "Nobody, as far as is noted."));
}

function say(id, error) {
  const { title, advice } = explain(error);
  find(id).textContent = `${title}. ${advice}`;
}

function phase(name, text) {
  find("connection").dataset.phase = name;
  if (find("connection-text").textContent !== text) find("connection-text").textContent = text;
}

find("filters").addEventListener("submit", search);
find("older").addEventListener("click", older);
find("people-add").addEventListener("click", () => enroll.open(null));
people.refresh();
search();
poll();
