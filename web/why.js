// Why a face is called what it is called: a dialog with everything the decision rests on.

import { dialog } from "./dialog.js";
import { element } from "./element.js";
import { explain } from "./failures.js";
import { explainTrack } from "./signalling.js";
import { tableOf } from "./table.js";
import { becauseOf, skippedFor } from "./words.js";

const STATES = { identified: "Identified", unknown: "Unknown", undecided: "Undecided" };

export class Why {
  #body = element("div.dialog-body", { id: "why-body" });
  #parts = dialog("why", this.#body);

  /** Asks the server about a track and shows its answer. */
  async show({ stream, track }) {
    this.#parts.title.textContent = `Face ${track} of ${stream}`;
    this.#body.replaceChildren(line("Asking the server"));
    if (!this.#parts.dialog.open) this.#parts.dialog.showModal();
    try {
      const { identity, not_said: notSaid, licences } = await explainTrack(stream, track);
      const missing = Object.entries(notSaid).map(([kind, code]) => [kind.replaceAll("_", " "), skippedFor(code)]);
      const parts = identity ? identityParts(identity) : [line("It was compared with nobody: that is done in mode full.")];
      if (missing.length) parts.push(...table("Not said", ["what", "why"], missing));
      const weights = Object.entries(licences).map(([model, licence]) => `${model}: ${licence}`);
      if (weights.length) parts.push(element("p.note", {}, `Licences of the weights: ${weights.join("; ")}.`));
      this.#body.replaceChildren(...parts);
    } catch (error) {
      const { title, advice } = explain(error);
      this.#body.replaceChildren(line(`${title}. ${advice}`));
    }
  }
}

function identityParts(identity) {
  const { thresholds, candidates, votes, skipped } = identity;
  const who = identity.name ? `${STATES[identity.state]}: ${identity.name}` : STATES[identity.state];
  const parts = [
    line(`${who}, ${becauseOf(identity.because)}.`),
    line(
      `A name needs a likeness of ${level(thresholds.accept)} and to be ahead of the next by ${level(thresholds.margin)}; ` +
        `it is kept down to ${level(thresholds.keep)}. Below ${level(thresholds.unknown)} a face is nobody known.`,
    ),
  ];
  if (candidates.length) {
    const rows = candidates.map((person) => [
      person.name ?? "erased",
      level(person.level),
      String(person.votes),
      Object.entries(person.models).map(([model, { cosine }]) => `${model} ${cosine.toFixed(2)}`).join(", "),
    ]);
    parts.push(...table("Most alike", ["who", "likeness", "votes", "cosine by model"], rows));
  }
  const looks = [
    ...votes.map((vote) => [vote.frame, quality(vote), best(vote.levels)]),
    ...skipped.map((vote) => [vote.frame, quality(vote), `not counted: ${skippedFor(vote.reason)}`]),
  ];
  looks.sort((a, b) => a[0] - b[0]);
  if (looks.length) parts.push(...table(`Looks, ${identity.attempts} so far`, ["frame", "quality", "best likeness"], looks));
  return parts;
}

const level = (value) => value.toFixed(2);
const quality = (vote) => `${Math.round(vote.quality * 100)} %`;
const best = (levels) => (Object.keys(levels).length ? level(Math.max(...Object.values(levels))) : "nobody");

const line = (text) => element("p", {}, text);

/** A heading and its table, which the keyboard can scroll sideways. */
function table(title, heads, rows) {
  const frame = element("div.scroll", { tabindex: 0, role: "region", "aria-label": title }, tableOf(heads, rows));
  return [element("h3", {}, title), frame];
}
