// What codes of the server mean, in words. Knows nothing of elements.

const BECAUSE = {
  alike: "clearly alike, over several looks",
  held: "still alike enough to keep what was decided",
  nobody_alike: "like nobody in the gallery",
  nobody_enrolled: "nobody is enrolled yet",
  attempts_used_up: "looked at often, and still not clear",
  too_few_votes: "too few good looks so far",
  not_alike_enough: "like somebody, but not enough",
  too_close: "two people are about equally alike",
  contested: "another face in the picture is more like that person",
  spoof: "may be a photo or a screen",
  liveness_open: "not yet sure that it is a living person",
  no_gallery: "the gallery cannot be used",
};

const SKIPPED = {
  model_missing: "no model installed",
  model_input_invalid: "the face is too small",
  stale: "no time",
  queue_full: "too much to do",
  no_memory: "no memory",
  closed: "closing",
  unavailable: "not available",
  model_suspended: "failed too often, resting",
  low_quality: "the picture was too poor",
  nobody_enrolled: "nobody was enrolled",
  unusable_embedding: "the model gave no usable answer",
  no_shared_model: "enrolled with other models",
};

const WHY_ANALYSED = {
  new_track: "new face",
  lost_and_found: "came back",
  detectors_disagree: "detectors disagree",
  low_score: "hardly seen as a face",
  better_view: "better view",
  undecided: "undecided so far",
  uncertain_identity: "who it is was open",
  scene_change: "new scene",
  interval: "it was time",
  asked_for: "asked for",
};

const plain = (code) => code.replaceAll("_", " ");
export const becauseOf = (code) => BECAUSE[code] ?? plain(code);
export const skippedFor = (code) => SKIPPED[code] ?? plain(code);
export const analysedFor = (code) => WHY_ANALYSED[code] ?? plain(code);

/** Who a face is: {title, detail}. */
export function whoIs(identity) {
  if (!identity) return { title: "Not looked at yet", detail: "" };
  const detail = becauseOf(identity.because);
  if (identity.state === "identified") return { title: identity.name ?? "Identified", detail };
  return { title: identity.state === "unknown" ? "Unknown" : "Undecided", detail };
}

/** How old an answer is and what it rests on. */
export function freshness({ age_s: ageS, samples, reason }) {
  const age = ageS < 1 ? "now" : `${Math.round(ageS)} s ago`;
  return `${age}, ${samples} ${samples === 1 ? "look" : "looks"}, ${analysedFor(reason)}`;
}

/** The kinds of events. */
export const KINDS = {
  appeared: "Appeared",
  identified: "Recognised",
  spoof_suspected: "Photo or screen suspected",
  left: "Left",
  stream_lost: "Stream lost",
  stream_recovered: "Stream back",
};

const LEFT = {
  gone: "",
  stream_lost: ", as the stream was lost",
  stream_ended: ", as the stream ended",
  same_person: ", as it proved to be somebody seen before",
};

/** An event in a sentence. */
export function eventText({ kind, stream, track, name, because, score, duration_s: seconds }) {
  const who = name ?? `Face ${track}`;
  const length = seconds === null ? "" : ` after ${lasted(seconds)}`;
  switch (kind) {
    case "appeared":
      return `${who} appeared on ${stream}`;
    case "identified":
      return `Face ${track} on ${stream} is ${name ?? "somebody who was erased"}`;
    case "spoof_suspected":
      return `${who} on ${stream} may be a photo or a screen (${Math.round((score ?? 0) * 100)} % live)`;
    case "left":
      return `${who} left ${stream}${length}${LEFT[because] ?? ""}`;
    case "stream_lost":
      return `${stream} was lost${because ? ` (${plain(because)})` : ""}`;
    case "stream_recovered":
      return `${stream} is back${length}`;
    default:
      return `${plain(kind)} on ${stream}`;
  }
}

/** A length of time in words. */
export function lasted(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
