"""From single findings to what is shown of a face: averages over its crops, and states that do not flicker. Pure.

A state changes only when the average goes well beyond the border (hysteresis). One crop is enough for a state, as for a
picture there is no second one; how many there were is part of the answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamapp.findings import DeepfakeScore, Embedding, Gender, GenderAge, Liveness
from streamapp.gallery.calibration import false_accept_rate
from streamapp.pipeline.identities import Identity
from streamapp.results import (
    UNKNOWN,
    Analyses,
    DeepfakeAnalysis,
    DeepfakeBand,
    GenderAgeAnalysis,
    IdentityAnalysis,
    IdentityReason,
    IdentityState,
    LivenessAnalysis,
    LivenessState,
)

MEMORY = 10
"""After so many crops the oldest fade: the average follows what changes."""
LIVE_ABOVE, SPOOF_BELOW = 0.7, 0.3
LIVE_UNTIL, SPOOF_UNTIL = 0.5, 0.5
"""Once decided, a state holds until the average crosses these."""
HIGH_ABOVE, LOW_BELOW = 0.75, 0.35
BAND_MARGIN = 0.1
GENDER_MARGIN = 0.1
DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Identification:
    """The embeddings of one crop, by recogniser, and the members of the ensemble that gave none."""

    embeddings: Mapping[str, Embedding]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """What the models said of one crop of a face; None where they were not asked or gave no answer. Each with the name
    of the variant."""

    identification: Identification | None = None
    liveness: tuple[str, Liveness] | None = None
    gender_age: tuple[str, GenderAge] | None = None
    deepfake: tuple[str, DeepfakeScore] | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """When a crop was taken, in frames and seconds of the stream, and why it was analysed."""

    frame: int
    pts_s: float
    reason: str
    quality: float = 1.0
    """0 to 1, of the crop."""


@dataclass(slots=True)
class _Mean:
    """A running average that forgets slowly."""

    value: float = 0.0
    samples: int = 0
    frame: int = 0
    at_s: float = 0.0
    model: str = ""
    reason: str = ""

    def add(self, value: float, model: str, at: Moment) -> None:
        """What is not a number is left out: it would stay for ever."""
        if not math.isfinite(value):
            return
        self.samples += 1
        self.value += (value - self.value) / min(self.samples, MEMORY)
        if self.samples == 1 or at.frame >= self.frame:
            self.frame, self.at_s, self.model, self.reason = at.frame, at.pts_s, model, at.reason


@dataclass(slots=True)
class FaceHistory:
    """Everything the models have said of one face so far. Findings may come in any order of their frames."""

    _live: _Mean = field(default_factory=_Mean)
    _liveness: LivenessState = LivenessState.UNDECIDED
    _attacks: dict[str, _Mean] = field(default_factory=dict)
    _male: _Mean = field(default_factory=_Mean)
    _age: _Mean = field(default_factory=_Mean)
    _gender: Gender = Gender.FEMALE
    _fake: _Mean = field(default_factory=_Mean)
    _band: DeepfakeBand = DeepfakeBand.MIDDLE
    _seen: _Mean = field(default_factory=_Mean)
    _missing: tuple[str, ...] = ()

    def add(self, findings: Findings, at: Moment) -> None:
        """Takes in what was found in one crop."""
        if findings.liveness is not None:
            self._add_liveness(*findings.liveness, at)
        if findings.gender_age is not None:
            self._add_gender_age(*findings.gender_age, at)
        if findings.deepfake is not None:
            model, score = findings.deepfake
            self._fake.add(score.fake, model, at)
            self._band = _band(self._band, self._fake)
        if findings.identification is not None:
            taken = findings.identification
            self._seen.add(0.0, " + ".join(sorted(taken.embeddings)), at)
            if at.frame == self._seen.frame:
                self._missing = taken.missing

    @property
    def is_open(self) -> bool:
        """Whether liveness was asked for and the answers so far do not decide it, or all rests on a single crop."""
        undecided = self._live.samples > 0 and self._liveness is LivenessState.UNDECIDED
        return undecided or max(self._live.samples, self._male.samples, self._fake.samples, self._seen.samples) == 1

    @property
    def liveness(self) -> LivenessState | None:
        """None where nothing was said of it yet."""
        return self._liveness if self._live.samples else None

    def analyses(self, now_s: float, identity: Identity | None = None) -> Analyses:
        """As of `now_s`, in seconds of the stream. identity: who it is, where there is a gallery."""
        known = Analyses()
        if self._seen.samples:
            known["identity"] = _identity(_freshness(self._seen, now_s), identity, self._missing)
        if self._live.samples:
            score = self._live.value
            attacks = {name: round(mean.value, DECIMALS) for name, mean in self._attacks.items() if mean.samples}
            freshness = _freshness(self._live, now_s)
            confidence = round(max(score, 1 - score), DECIMALS)
            known["liveness"] = LivenessAnalysis(
                *freshness, confidence, self._liveness, round(score, DECIMALS), attacks
            )
        if self._male.samples:
            share = self._male.value if self._gender is Gender.MALE else 1 - self._male.value
            freshness, age_years = _freshness(self._male, now_s), round(self._age.value, 1)
            known["gender_age"] = GenderAgeAnalysis(*freshness, round(share, DECIMALS), self._gender, age_years)
        if self._fake.samples:
            score = self._fake.value
            freshness, confidence = _freshness(self._fake, now_s), round(max(score, 1 - score), DECIMALS)
            known["deepfake"] = DeepfakeAnalysis(*freshness, confidence, round(score, DECIMALS), self._band)
        return known

    def _add_gender_age(self, model: str, found: GenderAge, at: Moment) -> None:
        if not math.isfinite(found.male + found.age_years):
            return
        self._male.add(found.male, model, at)
        self._age.add(found.age_years, model, at)
        margin = GENDER_MARGIN if self._male.samples > 1 else 0.0
        border = 0.5 - margin if self._gender is Gender.MALE else 0.5 + margin
        self._gender = Gender.MALE if self._male.value >= border else Gender.FEMALE

    def _add_liveness(self, model: str, found: Liveness, at: Moment) -> None:
        if not math.isfinite(found.live):
            return
        self._live.add(found.live, model, at)
        for name, share in found.attacks:
            self._attacks.setdefault(name, _Mean()).add(share, model, at)
        mean = self._live.value
        match self._liveness:
            case LivenessState.LIVE if mean >= LIVE_UNTIL:
                pass
            case LivenessState.SPOOF if mean <= SPOOF_UNTIL:
                pass
            case _ if mean >= LIVE_ABOVE:
                self._liveness = LivenessState.LIVE
            case _ if mean <= SPOOF_BELOW:
                self._liveness = LivenessState.SPOOF
            case _:
                self._liveness = LivenessState.UNDECIDED


def _identity(
    freshness: tuple[str, int, str, float, int], identity: Identity | None, missing: tuple[str, ...]
) -> IdentityAnalysis:
    if identity is None:
        undecided, reason = IdentityState.UNDECIDED, IdentityReason.NO_GALLERY
        return IdentityAnalysis(*freshness, None, undecided, reason, None, None, None, None, {}, missing)
    decision, confidence = identity.decision, None
    best = decision.standings[0] if decision.standings else None
    if decision.state is IdentityState.IDENTIFIED and decision.level is not None:
        people = max((vote.people for vote in decision.votes), default=1)
        confidence = round(max(0.0, 1 - people * false_accept_rate(decision.level)), DECIMALS)
    return IdentityAnalysis(
        *freshness,
        confidence,
        state=decision.state,
        because=decision.reason,
        name=UNKNOWN if decision.state is IdentityState.UNKNOWN else identity.name,
        person_id=decision.person_id,
        similarity=_rounded(decision.level),
        margin=_rounded(decision.margin),
        scores={model: round(mean.cosine, DECIMALS) for model, mean in sorted(best.models.items())} if best else {},
        missing=missing,
    )


def _rounded(level: float | None) -> float | None:
    return None if level is None or not math.isfinite(level) else round(level, DECIMALS)


def _band(before: DeepfakeBand, fake: _Mean) -> DeepfakeBand:
    margin = BAND_MARGIN if fake.samples > 1 else 0.0
    if fake.value >= HIGH_ABOVE - (margin if before is DeepfakeBand.HIGH else 0):
        return DeepfakeBand.HIGH
    if fake.value <= LOW_BELOW + (margin if before is DeepfakeBand.LOW else 0):
        return DeepfakeBand.LOW
    return DeepfakeBand.MIDDLE


def _freshness(mean: _Mean, now_s: float) -> tuple[str, int, str, float, int]:
    return mean.model, mean.frame, mean.reason, round(max(0.0, now_s - mean.at_s), DECIMALS), mean.samples
