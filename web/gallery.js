// HTTP with the gallery. Throws Failure, nothing else.

import { request } from "./signalling.js";

const JSON_ONLY = { Accept: "application/json" };
const PEOPLE = "/gallery/people";

/** Everybody, in pages of a hundred: {people, total, next_offset}. */
export async function listPeople(offset = 0) {
  return (await request(`${PEOPLE}?offset=${offset}`, { headers: JSON_ONLY, cache: "no-store" })).json();
}

/** Enrolls a face of a live stream. `consent`: {by, text, until}. */
export async function enrollTrack({ name, consent, stream, track, allowSpoof, allowDuplicate }) {
  const body = JSON.stringify({ ...fields(name, consent, allowSpoof, allowDuplicate), stream, track });
  const headers = { ...JSON_ONLY, "Content-Type": "application/json" };
  return (await request(PEOPLE, { method: "POST", headers, body })).json();
}

/** Enrolls a face by pictures (File). */
export async function enrollPictures({ name, consent, pictures, allowSpoof, allowDuplicate }) {
  const body = new FormData();
  for (const [field, value] of Object.entries(fields(name, consent, allowSpoof, allowDuplicate))) body.append(field, value);
  for (const picture of pictures) body.append("image", picture);
  return (await request(PEOPLE, { method: "POST", headers: JSON_ONLY, body })).json();
}

export async function erasePerson(id) {
  return (await request(`${PEOPLE}/${id}`, { method: "DELETE", headers: JSON_ONLY })).json();
}

/** This face is not that person. */
export async function rejectTrack(personId, { stream, track }) {
  const headers = { ...JSON_ONLY, "Content-Type": "application/json" };
  await request(`${PEOPLE}/${personId}/reject`, { method: "POST", headers, body: JSON.stringify({ stream, track }) });
}

/** Where everything about a person can be had as a file. */
export const exportOf = (id) => `${PEOPLE}/${id}/export`;

const fields = (name, consent, allowSpoof, allowDuplicate) => ({
  name,
  consent_by: consent.by,
  consent_text: consent.text,
  consent_until: consent.until,
  allow_spoof: allowSpoof,
  allow_duplicate: allowDuplicate,
});
