"""Which variant serves each task: the full set, the set a laptop runs, or the best of what is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streamapp.choices import Profile
from streamapp.zoo.manifest import Manifest
from streamapp.zoo.session import Device
from streamapp.zoo.spec import Task, Variant


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a profile: the variants that may take it, the preferred one first."""

    task: Task
    variants: tuple[str, ...]
    weight: float = 1.0
    """Share in an ensemble; of no meaning elsewhere."""
    optional: bool = False
    """Whether it may stay empty without anything being missed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What takes a slot; None where no variant of it is installed."""

    slot: Slot
    variant: Variant | None

    @property
    def missing(self) -> str | None:
        """The variant that is wanted here, if the place is empty and should not be."""
        return self.slot.variants[0] if self.variant is None and not self.slot.optional else None


_SCREEN = Slot(Task.SCREEN, ("blazeface-short-range", "blazeface-short-range-tasks", "blazeface-full-range-sparse"))
_PROPOSE = Slot(Task.PROPOSE, ("mtcnn-pnet-folded", "mtcnn-pnet"))
_REFINE = (
    Slot(Task.REFINE, ("mtcnn-rnet-folded", "mtcnn-rnet")),
    Slot(Task.LANDMARK, ("mtcnn-onet-folded", "mtcnn-onet")),
)
_LABELS = Slot(Task.DEEPFAKE_LABELS, ("deepfake-vit-v2-labels",))

_ENSEMBLE = (
    Slot(Task.RECOGNISE, ("adaface-ir101",), 0.25),
    Slot(Task.RECOGNISE, ("facenet-vggface2",), 0.5),
    Slot(Task.RECOGNISE, ("arcface-r100-glint", "arcface-r100-openmodelzoo"), 0.25),
)
_SMALL_RECOGNISER = ("arcface-mbf-w600k", "arcface-mbf-w600k-int8")

_FULL = (
    _SCREEN,
    Slot(Task.DETECT, ("yolov10n-face",)),
    _PROPOSE,
    *_REFINE,
    *_ENSEMBLE,
    Slot(Task.ANTISPOOF, ("antispoof-mn3",)),
    Slot(Task.GENDER_AGE, ("genderage",)),
    Slot(Task.DEEPFAKE, ("deepfake-vit-v2-fp16",)),
    _LABELS,
)
_LIGHT = (
    _SCREEN,
    Slot(Task.DETECT, ("yolov10n-face-480", "yolov10n-face")),
    *_REFINE,
    Slot(Task.RECOGNISE, _SMALL_RECOGNISER),
    Slot(Task.ANTISPOOF, ("antispoof-bin-128", "minifasnet-v2-release", "minifasnet-v2")),
    Slot(Task.GENDER_AGE, ("genderage", "genderage-v1")),
    Slot(Task.DEEPFAKE, ("deepfake-vit-v2-int8",), optional=True),
    Slot(Task.DEEPFAKE_LABELS, _LABELS.variants, optional=True),
)

_OTHER_DETECTORS = ("yolov8n-face", "yolov8-lite-t-face", "yolov8-lite-t-face-nms-free")
_INT8_DETECTORS = ("yolov8-lite-t-face-int8", "yolov8-lite-t-face-nms-free-int8")
"""They are there only if they were built here, which shows that they hold."""
_ANTISPOOFERS = ("antispoof-mn3", "antispoof-bin-128", "minifasnet-v2-release", "minifasnet-v2")
_AUTO_COMMON = (
    _SCREEN,
    Slot(Task.PROPOSE, _PROPOSE.variants, optional=True),
    *_REFINE,
    Slot(Task.ANTISPOOF, _ANTISPOOFERS),
    Slot(Task.GENDER_AGE, ("genderage", "genderage-v1")),
    Slot(Task.DEEPFAKE_LABELS, _LABELS.variants, optional=True),
)
_AUTO_BY_DEVICE = {
    Device.CUDA: (
        Slot(Task.DETECT, ("yolov10n-face", "yolov10n-face-480", *_OTHER_DETECTORS)),
        Slot(Task.DEEPFAKE, ("deepfake-vit-v2-fp16", "deepfake-vit-v2-int8"), optional=True),
    ),
    # On a processor the larger input costs twice the time, fp16 is slower than the int8 file, and int8 is fastest.
    Device.CPU: (
        Slot(Task.DETECT, ("yolov10n-face-480", "yolov10n-face", *_INT8_DETECTORS, *_OTHER_DETECTORS)),
        Slot(Task.DEEPFAKE, ("deepfake-vit-v2-int8", "deepfake-vit-v2-fp16"), optional=True),
    ),
}
# Weights as `streamapp evaluate weights` finds them on other people's faces; a third small net adds errors alone.
_AUTO_SMALL_ENSEMBLE = (
    Slot(Task.RECOGNISE, _SMALL_RECOGNISER, 0.8),
    Slot(Task.RECOGNISE, ("mobilefacenet-insightface-y1",), 0.2, optional=True),
)

IsInstalled = Callable[[Variant], bool]


def choose(profile: Profile, manifest: Manifest, device: Device, is_installed: IsInstalled) -> tuple[Choice, ...]:
    """Who takes each slot of a profile, in the order of the tasks."""
    return tuple(
        Choice(slot, next((variant for variant in candidates(slot, manifest) if is_installed(variant)), None))
        for slot in slots(profile, manifest, device, is_installed)
    )


def slots(profile: Profile, manifest: Manifest, device: Device, is_installed: IsInstalled) -> tuple[Slot, ...]:
    """The places of a profile; those of AUTO depend on the device and on what is installed."""
    match profile:
        case Profile.FULL:
            return _FULL
        case Profile.LIGHT:
            return _LIGHT
        case Profile.AUTO:
            large = any(is_installed(v) for slot in _ENSEMBLE for v in candidates(slot, manifest))
            recognisers = _ENSEMBLE if large and device is Device.CUDA else _AUTO_SMALL_ENSEMBLE
            if large and not any(is_installed(v) for slot in _AUTO_SMALL_ENSEMBLE for v in candidates(slot, manifest)):
                recognisers = _ENSEMBLE
            order = list(Task)
            chosen = (*_AUTO_COMMON, *_AUTO_BY_DEVICE[device], *recognisers)
            return tuple(sorted(chosen, key=lambda slot: order.index(slot.task)))


def candidates(slot: Slot, manifest: Manifest) -> tuple[Variant, ...]:
    """The variants that may take a slot, the preferred one first."""
    return tuple(manifest.named(name, slot.task) for name in slot.variants)
