"""Every variant of the manifest has its model file, and a load checks that the weights are of the right kind."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from streamapp.errors import ModelInvalid, ModelMissing
from streamapp.zoo import adaface, antispoof, arcface, blazeface, catalogue, deepfake, facenet, gender_age, mtcnn, yolo
from streamapp.zoo.manifest import Manifest, load_manifest
from streamapp.zoo.registry import Registry
from streamapp.zoo.session import SessionOptions
from streamapp.zoo.spec import Digest, Task, Variant
from tests.weights import weights_of

NETS = [v for v in load_manifest().variants if v.task is not Task.DEEPFAKE_LABELS]
FAMILIES = (adaface, antispoof, arcface, blazeface, deepfake, facenet, gender_age, mtcnn, yolo)


@pytest.mark.parametrize("variant", NETS, ids=lambda variant: variant.name)
def test_every_variant_has_a_model_file(variant: Variant) -> None:
    spec = catalogue.spec_of(variant)
    assert spec is not None
    assert spec.variant == variant.name


def test_every_model_file_serves_only_variants_of_the_manifest() -> None:
    assert {name for family in FAMILIES for name in family.SPECS} == {variant.name for variant in NETS}


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ModelInvalid, match="no model file knows"):
        catalogue.recogniser("facenet-of-tomorrow")


@pytest.mark.weights
def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    variant, path = weights_of("mtcnn-rnet")
    shutil.copy(path, tmp_path / path.name)
    digest = Digest.of_file(path)
    wrong = replace(
        load_manifest().named("mtcnn-onet"), file=path.name, sha256=digest.sha256, size_bytes=digest.size_bytes
    )
    with pytest.raises(ModelInvalid, match="input is"):
        catalogue.load(Registry(Manifest((wrong,)), tmp_path), wrong, SessionOptions())
    assert catalogue.load(Registry(Manifest((variant,)), tmp_path), variant, SessionOptions()).variant == variant.name


def test_a_deepfake_net_is_not_loaded_without_its_labels(tmp_path: Path) -> None:
    registry = Registry(load_manifest(), tmp_path)
    with pytest.raises(ModelMissing, match="deepfake_labels"):
        catalogue.load(registry, registry.manifest.named("deepfake-vit-v2-int8"), SessionOptions())
