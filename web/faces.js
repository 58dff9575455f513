// A card for each face of the newest result: what is known of it, how fresh that is, and why.

import { colourOf } from "./captions.js";
import { removeRow } from "./focus.js";
import { freshness, skippedFor, whoIs } from "./words.js";

const LIVENESS = { live: "living person", spoof: "photo or screen?", undecided: "not sure yet" };
const NAMES = { identity: "Identity", liveness: "Liveness", gender_age: "Looks like", deepfake: "Deepfake" };

export class Faces {
  #list;
  #empty;
  #template;
  #onWhy;
  #onEnroll;
  #onReject;
  #cards = new Map();

  /** All three are given {stream, track}. onWhy: the reasons for a card are asked for; onEnroll: it is to be enrolled;
   *  onReject: and the id of the person it is not. */
  constructor({ list, empty, template, onWhy, onEnroll, onReject }) {
    this.#list = list;
    this.#empty = empty;
    this.#template = template;
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
    const card = this.#template.content.firstElementChild.cloneNode(true);
    card.dataset.track = id;
    card.querySelector(".face-colour").style.background = colourOf(id);
    const why = card.querySelector(".face-why");
    why.setAttribute("aria-label", `Why is face ${id} called that?`);
    const face = () => ({ stream: card.dataset.of, track: id });
    why.addEventListener("click", () => this.#onWhy(face()));
    const enroll = card.querySelector(".face-enroll");
    enroll.setAttribute("aria-label", `Enroll face ${id}`);
    enroll.addEventListener("click", () => this.#onEnroll(face()));
    card.querySelector(".face-reject").addEventListener("click", () => this.#onReject(face(), card.dataset.person));
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

function fact(term, value, note) {
  const name = document.createElement("dt");
  const text = document.createElement("dd");
  const small = document.createElement("small");
  name.textContent = term;
  text.textContent = value;
  small.textContent = note;
  text.append(small);
  return [name, text];
}

function put(card, selector, text) {
  const element = card.querySelector(selector);
  if (element.textContent !== text) element.textContent = text;
}

const percent = (share) => `${Math.round(share * 100)} %`;
