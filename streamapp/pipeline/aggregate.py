"""From single findings to what is shown of a face: averages over its crops, and states that do not flicker. Pure.

A state changes only when the average goes well beyond the border (hysteresis). One crop is enough for a state, as for a
picture there is no second one; how many there were is part of the answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamapp.findings import DeepfakeScore, Embedding, Gender, GenderAge, Liveness
from streamapp.results import (
    UNKNOWN,
    Analyses,
    DeepfakeAnalysis,
    DeepfakeBand,
    GenderAgeAnalysis,
    IdentityAnalysis,
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


@dataclass(slots=True)
class _Mean:
    """A running average that forgets slowly."""

    value: float = 0.0
    samples: int = 0
    frame: int = 0
    at_s: float = 0.0
    model: str = ""

    def add(self, value: float, model: str, frame: int, at_s: float) -> None:
        """What is not a number is left out: it would stay for ever."""
        if not math.isfinite(value):
            return
        self.samples += 1
        self.value += (value - self.value) / min(self.samples, MEMORY)
        self.frame, self.at_s, self.model = max(self.frame, frame), max(self.at_s, at_s), model


@dataclass(slots=True)
class FaceHistory:
    """Everything the models have said of one face so far. Findings may come in any order of their frames."""

    _live: _Mean = field(default_factory=_Mean)
    _liveness: LivenessState = LivenessState.UNDECIDED
    _attacks: dict[str, _Mean] = field(default_factory=dict)
    _male: _Mean = field(default_factory=_Mean)
    _age: _Mean = field(default_factory=_Mean)
    _fake: _Mean = field(default_factory=_Mean)
    _band: DeepfakeBand = DeepfakeBand.MIDDLE
    _seen: _Mean = field(default_factory=_Mean)
    _missing: tuple[str, ...] = ()

    def add(self, findings: Findings, frame: int, at_s: float) -> None:
        """Takes in what was found in one crop. at_s: when the crop was taken, in seconds of the stream."""
        if findings.liveness is not None:
            self._add_liveness(*findings.liveness, frame, at_s)
        if findings.gender_age is not None:
            model, found = findings.gender_age
            self._male.add(found.male, model, frame, at_s)
            self._age.add(found.age_years, model, frame, at_s)
        if findings.deepfake is not None:
            model, score = findings.deepfake
            self._fake.add(score.fake, model, frame, at_s)
            self._band = _band(self._band, self._fake)
        if findings.identification is not None:
            taken = findings.identification
            self._seen.add(0.0, " + ".join(sorted(taken.embeddings)), frame, at_s)
            self._missing = taken.missing

    @property
    def is_liveness_open(self) -> bool:
        """Whether it was asked for and the answers so far do not decide it."""
        return self._live.samples > 0 and self._liveness is LivenessState.UNDECIDED

    def analyses(self, now_s: float) -> Analyses:
        """As of `now_s`, in seconds of the stream."""
        known = Analyses()
        if self._seen.samples:
            known["identity"] = IdentityAnalysis(
                *_freshness(self._seen, now_s), None, UNKNOWN, None, None, {}, self._missing
            )
        if self._live.samples:
            score = self._live.value
            attacks = {name: round(mean.value, DECIMALS) for name, mean in self._attacks.items()}
            freshness = _freshness(self._live, now_s)
            confidence = round(max(score, 1 - score), DECIMALS)
            known["liveness"] = LivenessAnalysis(
                *freshness, confidence, self._liveness, round(score, DECIMALS), attacks
            )
        if self._male.samples:
            male = self._male.value
            gender = Gender.MALE if male >= 0.5 else Gender.FEMALE
            freshness, confidence = _freshness(self._male, now_s), round(max(male, 1 - male), DECIMALS)
            known["gender_age"] = GenderAgeAnalysis(*freshness, confidence, gender, round(self._age.value, 1))
        if self._fake.samples:
            score = self._fake.value
            freshness, confidence = _freshness(self._fake, now_s), round(max(score, 1 - score), DECIMALS)
            known["deepfake"] = DeepfakeAnalysis(*freshness, confidence, round(score, DECIMALS), self._band)
        return known

    def _add_liveness(self, model: str, found: Liveness, frame: int, at_s: float) -> None:
        self._live.add(found.live, model, frame, at_s)
        for name, share in found.attacks:
            self._attacks.setdefault(name, _Mean()).add(share, model, frame, at_s)
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


def _band(before: DeepfakeBand, fake: _Mean) -> DeepfakeBand:
    margin = BAND_MARGIN if fake.samples > 1 else 0.0
    if fake.value >= HIGH_ABOVE - (margin if before is DeepfakeBand.HIGH else 0):
        return DeepfakeBand.HIGH
    if fake.value <= LOW_BELOW + (margin if before is DeepfakeBand.LOW else 0):
        return DeepfakeBand.LOW
    return DeepfakeBand.MIDDLE


def _freshness(mean: _Mean, now_s: float) -> tuple[str, int, float, int]:
    return mean.model, mean.frame, round(max(0.0, now_s - mean.at_s), DECIMALS), mean.samples
