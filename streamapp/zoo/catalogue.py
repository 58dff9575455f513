"""Which model file serves a variant. A new model is a new file, a line here and an entry in the manifest."""

from __future__ import annotations

from streamapp.errors import ModelInvalid
from streamapp.findings import DeepfakeScore, Embedding, GenderAge, Liveness
from streamapp.zoo import adaface, antispoof, arcface, blazeface, deepfake, facenet, gender_age, mtcnn, yolo
from streamapp.zoo.base import FaceModel, ModelSession, ModelSpec
from streamapp.zoo.mtcnn import Refiner
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions, open_session
from streamapp.zoo.spec import Task, Variant


def screener(variant: str, *, min_score: float = 0.5) -> blazeface.BlazeFace:
    """Raises ModelInvalid for a variant no model file knows; so do the others below."""
    return blazeface.BlazeFace(_known(blazeface.SPECS.get(variant), variant), min_score)


def detector(variant: str, *, min_score: float = 0.4) -> yolo.Yolo:
    return yolo.Yolo(_known(yolo.SPECS.get(variant), variant), min_score)


def refiner(variant: str) -> Refiner:
    return Refiner(_known(mtcnn.SPECS.get(variant), variant))


def recogniser(variant: str) -> FaceModel[Embedding]:
    if variant in adaface.SPECS:
        return adaface.AdaFace(adaface.SPECS[variant])
    if variant in facenet.SPECS:
        return facenet.FaceNet(facenet.SPECS[variant])
    if variant in arcface.SPECS:
        return arcface.ArcFace(arcface.SPECS[variant])
    raise _unknown(variant)


def antispoofer(variant: str) -> FaceModel[Liveness]:
    if variant in antispoof.SPECS:
        return antispoof.Antispoof(antispoof.SPECS[variant])
    raise _unknown(variant)


def gender_age_net(variant: str) -> FaceModel[GenderAge]:
    return gender_age.GenderAgeNet(_known(gender_age.SPECS.get(variant), variant))


def deepfake_detector(variant: str) -> FaceModel[DeepfakeScore]:
    return deepfake.Deepfake(_known(deepfake.SPECS.get(variant), variant))


def spec_of(variant: Variant) -> ModelSpec | None:
    """What a session of a variant must look like; None for what is no net."""
    match variant.task:
        case Task.DEEPFAKE_LABELS:
            return None
        case Task.SCREEN:
            return screener(variant.name).spec
        case Task.DETECT:
            return detector(variant.name).spec
        case Task.PROPOSE | Task.REFINE | Task.LANDMARK:
            return refiner(variant.name).spec
        case Task.RECOGNISE:
            return recogniser(variant.name).spec
        case Task.ANTISPOOF:
            return antispoofer(variant.name).spec
        case Task.GENDER_AGE:
            return gender_age_net(variant.name).spec
        case Task.DEEPFAKE:
            return deepfake_detector(variant.name).spec


def load(registry: Registry, variant: Variant, options: SessionOptions) -> ModelSession:
    """A session of a variant, of the right form, and with the labels it is used by. Raises what `open_session` does."""
    spec = spec_of(variant)
    if spec is None:
        raise ModelInvalid(f"{variant.name} is not a net that can be run")
    if variant.task is Task.DEEPFAKE and deepfake.needs_labels(spec):
        labels = registry.chosen(Task.DEEPFAKE_LABELS, None)
        deepfake.assert_labels(registry.verified(labels).read_bytes(), variant.name)
    session: ModelSession
    if variant.task is Task.SCREEN:
        from streamapp.zoo.litert_session import LiteRtSession  # another runtime may be in use for screening

        session = LiteRtSession(variant.name, registry.verified(variant).read_bytes())
    else:
        session = open_session(registry, variant, options)
    try:
        spec.check_session(session)
    except ModelInvalid:
        session.close()
        raise
    return session


def _known(spec: ModelSpec | None, variant: str) -> ModelSpec:
    if spec is None:
        raise _unknown(variant)
    return spec


def _unknown(variant: str) -> ModelInvalid:
    return ModelInvalid(f"no model file knows the variant {variant}")
