"""Which model serves each task of this process: a profile, resolved against what is installed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Generic, TypeVar

from streamapp.choices import Profile
from streamapp.errors import ModelMissing
from streamapp.faces import Detections, Detector, Mode
from streamapp.findings import DeepfakeScore, Embedding, GenderAge, Liveness
from streamapp.settings import Settings
from streamapp.zoo import catalogue
from streamapp.zoo.base import Crop, FaceModel, Inference, Letterboxed
from streamapp.zoo.manifest import Manifest
from streamapp.zoo.mtcnn_operations import Cascade, Refinement
from streamapp.zoo.profiles import Choice, candidates, choose
from streamapp.zoo.registry import PULL_COMMAND, Registry
from streamapp.zoo.session import Device
from streamapp.zoo.spec import Task, Variant

V = TypeVar("V")


class System(StrEnum):
    """A model system as users know it; one or several variants."""

    MEDIAPIPE = "mediapipe"
    YOLO = "yolo"
    MTCNN = "mtcnn"
    RECOGNITION = "recognition"
    ANTISPOOF = "antispoof"
    GENDER_AGE = "gender_age"
    DEEPFAKE = "deepfake"

    @classmethod
    def of(cls, task: Task) -> System:
        return _SYSTEMS[task]

    @property
    def is_detector(self) -> bool:
        return self in (System.MEDIAPIPE, System.YOLO, System.MTCNN)


_SYSTEMS = {
    Task.SCREEN: System.MEDIAPIPE,
    Task.DETECT: System.YOLO,
    Task.PROPOSE: System.MTCNN,
    Task.REFINE: System.MTCNN,
    Task.LANDMARK: System.MTCNN,
    Task.RECOGNISE: System.RECOGNITION,
    Task.ANTISPOOF: System.ANTISPOOF,
    Task.GENDER_AGE: System.GENDER_AGE,
    Task.DEEPFAKE: System.DEEPFAKE,
    Task.DEEPFAKE_LABELS: System.DEEPFAKE,
}
_DETECTOR_SYSTEMS = {
    Detector.MEDIAPIPE: System.MEDIAPIPE,
    Detector.YOLO: System.YOLO,
    Detector.MTCNN: System.MTCNN,
}


def systems_of(mode: Mode) -> tuple[System, ...]:
    """What a mode uses."""
    detectors = tuple(_DETECTOR_SYSTEMS[detector] for detector in mode.detectors)
    return tuple(System) if mode is Mode.FULL else detectors


@dataclass(frozen=True, slots=True)
class FaceAnalyser(Generic[V]):
    """A model that says something of one face. `weight`: its share in an ensemble."""

    model: FaceModel[V]
    weight: float = 1.0

    @property
    def variant(self) -> str:
        return self.model.spec.variant

    @property
    def operation(self) -> Inference[Crop, V]:
        return Inference(self.model)


@dataclass(frozen=True, slots=True)
class Absent:
    """A place of the profile that nothing installed can take."""

    system: System
    variant: str
    """What is wanted there."""
    optional: bool
    """Whether the profile does without."""

    @property
    def message(self) -> str:
        return f"{self.system} model {self.variant} is not installed; run `{PULL_COMMAND} {self.variant}`"


@dataclass(frozen=True, slots=True)
class Lineup:
    """What serves each task; None or empty where nothing does, which `absent` names."""

    profile: Profile
    screener: Inference[Letterboxed, Detections] | None = None
    detector: Inference[Letterboxed, Detections] | None = None
    cascade: Cascade | None = None
    refinement: Refinement | None = None
    recognisers: tuple[FaceAnalyser[Embedding], ...] = ()
    antispoofer: FaceAnalyser[Liveness] | None = None
    gender_age: FaceAnalyser[GenderAge] | None = None
    deepfake: FaceAnalyser[DeepfakeScore] | None = None
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """Everything in use, by name."""
    absent: tuple[Absent, ...] = ()

    @classmethod
    def of(
        cls, registry: Registry, profile: Profile, device: Device, *, screener: str | None, min_score: float
    ) -> Lineup:
        """Looks which files are there; their content is checked when they are loaded. Raises UsageError for an unknown
        `screener` (a variant that is wanted in the profile's place)."""
        choices = choose(profile, registry.manifest, device, registry.is_installed)
        if screener is not None:
            named = registry.manifest.named(screener, Task.SCREEN)
            there = named if registry.is_installed(named) else None
            choices = tuple(
                Choice(choice.slot, there) if choice.slot.task is Task.SCREEN else choice for choice in choices
            )
        return _resolved(profile, choices, registry.manifest, min_score, screener)

    @classmethod
    def from_settings(cls, registry: Registry, settings: Settings, device: Device) -> Lineup:
        """As `of`, for what the settings say."""
        models, min_score = settings.models, settings.pipeline.min_score
        return cls.of(registry, models.profile, device, screener=models.screener, min_score=min_score)

    def of_system(self, system: System) -> tuple[Variant, ...]:
        return tuple(variant for variant in self.variants.values() if System.of(variant.task) is system)

    def only(self, systems: Collection[System]) -> Lineup:
        """Without the analysts of other systems."""
        return replace(
            self,
            recognisers=self.recognisers if System.RECOGNITION in systems else (),
            antispoofer=self.antispoofer if System.ANTISPOOF in systems else None,
            gender_age=self.gender_age if System.GENDER_AGE in systems else None,
            deepfake=self.deepfake if System.DEEPFAKE in systems else None,
        )

    def require(self, mode: Mode) -> None:
        """Raises ModelMissing, naming what is missing, unless every detector of the mode is there and, for FULL, at
        least one model that analyses faces."""
        lacking = [absent for absent in self.absent if absent.system in systems_of(mode) and not absent.optional]
        for absent in lacking:
            if absent.system.is_detector:
                raise ModelMissing(f"mode {mode} needs it: {absent.message}")
        if mode is Mode.FULL and not any((self.recognisers, self.antispoofer, self.gender_age, self.deepfake)):
            wanted = ", ".join(absent.variant for absent in lacking)
            raise ModelMissing(
                f"no model that analyses faces is installed ({wanted}); run `{PULL_COMMAND} --profile light`"
            )


def _wanted(choice: Choice, manifest: Manifest, screener: str | None) -> str:
    """What to ask for in an empty place: the preferred variant of those that can be pulled."""
    if screener and choice.slot.task is Task.SCREEN:
        return screener
    known = candidates(choice.slot, manifest)
    return next((variant.name for variant in known if variant.sources), known[0].name)


def _resolved(
    profile: Profile, choices: tuple[Choice, ...], manifest: Manifest, min_score: float, screener: str | None
) -> Lineup:
    by_task: dict[Task, list[tuple[Choice, Variant]]] = {task: [] for task in Task}
    for choice in choices:
        if choice.variant is not None:
            by_task[choice.slot.task].append((choice, choice.variant))

    def only(task: Task) -> str | None:
        return by_task[task][0][1].name if by_task[task] else None

    screen, detect, propose = only(Task.SCREEN), only(Task.DETECT), only(Task.PROPOSE)
    refine, landmark = only(Task.REFINE), only(Task.LANDMARK)
    antispoof, gender_age, deepfake = only(Task.ANTISPOOF), only(Task.GENDER_AGE), only(Task.DEEPFAKE)
    absent = tuple(
        Absent(System.of(choice.slot.task), _wanted(choice, manifest, screener), choice.slot.optional)
        for choice in choices
        if choice.variant is None
    )
    return Lineup(
        profile=profile,
        screener=None if screen is None else Inference(catalogue.screener(screen, min_score=min_score)),
        detector=None if detect is None else Inference(catalogue.detector(detect)),
        cascade=Cascade(propose, refine, landmark) if propose and refine and landmark else None,
        refinement=Refinement(refine, landmark) if refine and landmark else None,
        recognisers=tuple(
            FaceAnalyser(catalogue.recogniser(variant.name), choice.slot.weight)
            for choice, variant in by_task[Task.RECOGNISE]
        ),
        antispoofer=None if antispoof is None else FaceAnalyser(catalogue.antispoofer(antispoof)),
        gender_age=None if gender_age is None else FaceAnalyser(catalogue.gender_age_net(gender_age)),
        deepfake=None if deepfake is None else FaceAnalyser(catalogue.deepfake_detector(deepfake)),
        variants={variant.name: variant for variants in by_task.values() for _, variant in variants},
        absent=absent,
    )
