// The timeline: what happened on all streams, searched, and as it happens.

import { say } from "./announce.js";
import { explain } from "./failures.js";
import { listPeople } from "./gallery.js";
import { request } from "./signalling.js";
import { eventText, KINDS } from "./words.js";

const SHOWN = 500;
const RETRY_MS = 2000;
const SPOKEN_MS = 5000;
const find = (id) => document.getElementById(id);
let cursor = null;
let feed = null;
let spokenMs = -Infinity;

/** What is searched for, as the server has it; `times` only where the past is asked. */
function query(times) {
  const asked = new URLSearchParams();
  for (const field of ["kind", "stream", "person"]) if (find(field).value.trim()) asked.append(field, find(field).value.trim());
  if (times && find("from").value) asked.append("from", new Date(find("from").value).toISOString());
  if (times && find("until").value) asked.append("to", new Date(find("until").value).toISOString());
  return asked;
}

async function search(event) {
  event?.preventDefault();
  feed?.close();
  find("events").replaceChildren();
  cursor = null;
  await older();
  if (!find("until").value) follow();
  else phase("idle", "Past only");
}

async function older() {
  find("error").textContent = "";
  const asked = query(true);
  if (cursor) asked.append("cursor", cursor);
  try {
    const response = await request(`/events?${asked}`, { headers: { Accept: "application/json" }, cache: "no-store" });
    const { events, next_cursor: next } = await response.json();
    find("events").append(...events.map(row));
    cursor = next;
  } catch (error) {
    const { title, advice } = explain(error);
    find("error").textContent = `${title}. ${advice}`;
  }
  find("older").hidden = !cursor;
  none();
}

function follow() {
  const asked = query(false);
  const newest = find("events").firstElementChild?.dataset.id;
  if (newest) asked.append("after", newest); // what happened since the search
  feed = new EventSource(`/events/live?${asked}`);
  feed.addEventListener("open", () => phase("live", "Live"));
  feed.addEventListener("error", lost);
  for (const kind of Object.keys(KINDS)) feed.addEventListener(kind, ({ data }) => show(JSON.parse(data)));
}

/** The browser reconnects by itself, unless the server refused: then asking again says why. */
async function lost() {
  phase("waiting", "Reconnecting");
  if (feed.readyState !== EventSource.CLOSED) return;
  await new Promise((resume) => setTimeout(resume, RETRY_MS));
  await search();
}

function show(event) {
  const list = find("events");
  if (list.querySelector(`[data-id="${event.id}"]`)) return;
  list.prepend(row(event));
  while (list.children.length > SHOWN) list.lastElementChild.remove();
  none();
  if (performance.now() - spokenMs < SPOKEN_MS) return; // a busy camera must not talk without end
  spokenMs = performance.now();
  say(eventText(event));
}

function row(event) {
  const item = document.createElement("li");
  const at = document.createElement("time");
  const text = document.createElement("p");
  item.className = "event";
  item.dataset.id = event.id;
  item.dataset.kind = event.kind;
  at.dateTime = new Date(event.at * 1000).toISOString();
  at.textContent = new Date(event.at * 1000).toLocaleString();
  text.textContent = eventText(event);
  item.append(at, text);
  return item;
}

function none() {
  find("none").hidden = find("events").children.length > 0;
}

function phase(name, text) {
  find("connection").dataset.phase = name;
  find("connection-text").textContent = text;
}

async function choices() {
  find("kind").append(...Object.entries(KINDS).map(([kind, text]) => new Option(text, kind)));
  try {
    const { people } = await listPeople();
    find("person").append(...people.map(({ id, name }) => new Option(name, id)));
  } catch {
    find("person").disabled = true; // without a gallery nobody has a name
  }
}

find("filters").addEventListener("submit", search);
find("older").addEventListener("click", older);
window.addEventListener("pagehide", () => feed?.close());
choices();
search();
