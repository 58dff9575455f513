// A card for each face of the newest result: what is known of it, how fresh that is, and why.

import { colourOf } from "./captions.js";
import { element } from "./element.js";
import { removeRow } from "./focus.js";
import { freshness, skippedFor, whoIs } from "./words.js";

const LIVENESS = { live: "living person", spoof: "photo or screen?", undecided: "not sure yet" };
const NAMES = { identity: "Identity", liveness: "Liveness", gender_age: "Looks like", deepfake: "Deepfake" };

export class Faces {
  #list;
  #empty;
  #onWhy;
  #onEnroll;
  #onReject;
  #cards = new Map();

  /** All three are given {stream, track}. onWhy: the reasons for a card are asked for; onEnroll: it is to be enrolled;
   *  onReject: and the id of the person it is not. */
  constructor({ list, empty, onWhy, onEnroll, onReject }) {
    this.#list = list;
    this.#empty = empty;
    this.#onWhy = onWhy;
    this.#onEnroll = onEnroll;
    this.#onReject = onReject;
  }

  /** Shows the faces of a FrameResult; null for none. */
  show(result) {
    const tracks = result?.tracks ?? [];
    const ids = new Set(tracks.map(({ id }) => id));
    for (const [id, card] of this.#cards) {
      if (ids.has(id)) continue;
      removeRow(card);
      this.#cards.delete(id);
    }
    for (const track of tracks) {
      if (!this.#cards.has(track.id)) this.#cards.set(track.id, this.#newCard(track.id));
      const card = this.#cards.get(track.id);
      card.dataset.of = result.stream;
      this.#fill(card, track);
    }
    this.#empty.hidden = tracks.length > 0;
    this.#empty.textContent = result ? "Nobody in the picture." : "Faces appear here once there is a picture.";
  }

  #newCard(id) {
    const colour = element("span.face-colour", { "aria-hidden": "true" });
    const why = element("button.face-why", { type: "button", "aria-label": `Why is face ${id} called that?` }, "Why?");
    const enroll = element("button.face-enroll", { type: "button", "aria-label": `Enroll face ${id}`, hidden: true }, "Enroll");
    const reject = element("button.face-reject.quiet", { type: "button", hidden: true });
    const card = element(
      "li.face",
      {},
      element("div.face-head", {}, colour, element("span.face-name"), element("span.face-number")),
      element("dl.face-facts"),
      element("p.actions", {}, why, enroll, reject),
    );
    card.dataset.track = id;
    colour.style.background = colourOf(id);
    const face = () => ({ stream: card.dataset.of, track: id });
    why.addEventListener("click", () => this.#onWhy(face()));
    enroll.addEventListener("click", () => this.#onEnroll(face()));
    reject.addEventListener("click", () => this.#onReject(face(), card.dataset.person));
    this.#list.append(card);
    return card;
  }

  #fill(card, { id, state, analyses, skipped }) {
    const { title, detail } = whoIs(analyses.identity);
    card.dataset.identity = analyses.identity?.state ?? "none";
    card.dataset.liveness = analyses.liveness?.state ?? "none";
    put(card, ".face-name", Object.keys(analyses).length ? title : `Face ${id}`);
    put(card, ".face-number", state === "coasting" ? `${id}, not seen` : String(id));
    card.dataset.person = analyses.identity?.person_id ?? "";
    card.querySelector(".face-enroll").hidden = analyses.identity?.state !== "unknown";
    card.querySelector(".face-reject").hidden = !card.dataset.person;
    put(card, ".face-reject", `Not ${title}`);
    const facts = factsOf(analyses, detail);
    for (const [kind, code] of Object.entries(skipped)) {
      if (!analyses[kind]) facts.push([NAMES[kind] ?? kind, "not said", skippedFor(code)]);
    }
    const key = JSON.stringify(facts);
    const list = card.querySelector(".face-facts");
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...facts.flatMap(([term, value, note]) => fact(term, value, note)));
  }
}

function factsOf({ identity, liveness, gender_age: looks, deepfake }, who) {
  const facts = [];
  if (identity) facts.push([NAMES.identity, who, freshness(identity)]);
  if (liveness) facts.push([NAMES.liveness, `${LIVENESS[liveness.state]}, ${percent(liveness.score)} live`, freshness(liveness)]);
  if (looks) facts.push([NAMES.gender_age, `${looks.gender}, about ${Math.round(looks.age_years)}`, freshness(looks)]);
  if (deepfake) facts.push([NAMES.deepfake, `${deepfake.band} score, ${deepfake.score.toFixed(2)}`, freshness(deepfake)]);
  return facts;
}

const fact = (term, value, note) => [element("dt", {}, term), element("dd", {}, value, element("small", {}, note))];

function put(card, selector, text) {
  const element = card.querySelector(selector);
  if (element.textContent !== text) element.textContent = text;
}

const percent = (share) => `${Math.round(share * 100)} %`;
