// What is known of a face, in a few words. Knows nothing of canvases.

const LIVENESS = { live: "live", spoof: "spoof?", undecided: "live?" };
const COLOURS = ["#5eead4", "#fcd34d", "#c4b5fd", "#f9a8d4", "#93c5fd", "#bef264", "#fdba74", "#67e8f9"];
const GENDERS = { female: "F", male: "M" };

/** The colour of everything that is of one track. */
export const colourOf = (id) => COLOURS[id % COLOURS.length];

/** Number and score; dashes of the box say the rest while it coasts. */
export function labelOf(track) {
  const what = track.state === "coasting" ? "not seen" : `${Math.round(track.score * 100)} %`;
  return `${track.id}  ${what}`;
}

/** The analyses of a face in one line, or "" if there are none yet. A deepfake score is a band, never a verdict. */
export function captionOf({ identity, liveness, gender_age: genderAge, deepfake } = {}) {
  const parts = [];
  if (identity) parts.push(identity.name ?? "who?");
  if (liveness) parts.push(LIVENESS[liveness.state]);
  if (genderAge) parts.push(`${GENDERS[genderAge.gender]} ~${Math.round(genderAge.age_years)}`);
  if (deepfake) parts.push(`fake ${deepfake.band}`);
  return parts.join(" · ");
}
