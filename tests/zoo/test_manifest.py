"""The manifest is checked whole, and what it does not know it leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.errors import ManifestInvalid, UsageError
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.spec import Task, UrlSource, WheelSource

ENTRY = """
schema = 1
[[variant]]
name = "net"
task = "screen"
file = "net.tflite"
sha256 = ""
sha384 = ""
licence = ""
input = ""
output = ""
reference = ""
[[variant.source]]
url = "https://host.example/net.tflite"
"""


def manifest_file(folder: Path, text: str) -> Path:
    path = folder / "manifest.toml"
    path.write_text(text)
    return path


def test_the_short_range_nets_come_before_the_full_range_one() -> None:
    names = [variant.name for variant in load_manifest().for_task(Task.SCREEN)]
    assert names == ["blazeface-short-range", "blazeface-short-range-tasks", "blazeface-full-range-sparse"]


def test_every_screening_variant_can_be_recognised_and_its_licence_is_known() -> None:
    for variant in load_manifest().for_task(Task.SCREEN):
        assert variant.has_checksum
        assert variant.size_bytes
        assert variant.licence
        assert variant.commercial_use is not None


def test_the_first_choice_needs_no_host_but_the_package_index() -> None:
    first = load_manifest().for_task(Task.SCREEN)[0]
    assert [type(source) for source in first.sources] == [WheelSource]


def test_what_is_not_known_stays_unknown(tmp_path: Path) -> None:
    (variant,) = load_manifest(manifest_file(tmp_path, ENTRY)).variants
    assert variant.sources == (UrlSource("https://host.example/net.tflite"),)
    assert (variant.sha256, variant.sha384, variant.size_bytes, variant.commercial_use) == (None, None, None, None)
    assert not variant.has_checksum


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('licence = ""', 'licence = ""\nlicense = "MIT"', "variant.0.license: Extra inputs"),
        ('input = ""', "", "variant.0.input: Field required"),
        ('task = "screen"', 'task = "scream"', "variant.0.task"),
        ('file = "net.tflite"', 'file = "../net.tflite"', "variant.0.file"),
        ('sha256 = ""', 'sha256 = "ABC"', "variant.0.sha256"),
        ("https://host", "ftp://host", "variant.0.source.0.url"),
        ("https://host", "https://user:secret@host", "variant.0.source.0.url"),
        ("url =", 'wheel = {project = "p"}\nurl =', "variant.0.source.0.wheel.version"),
        ('url = "https://host.example/net.tflite"', "", "either a url or a wheel"),
        ("schema = 1", "schema = 2", "schema"),
        ("schema = 1", "schema = ", "cannot be read"),
        ('sha384 = ""', 'sha384 = ""\nbytes = 0', "variant.0.bytes"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert ENTRY.count(old) == 1
    with pytest.raises(ManifestInvalid) as caught:
        load_manifest(manifest_file(tmp_path, ENTRY.replace(old, new)))
    assert told in str(caught.value)


def test_two_variants_do_not_share_a_name_or_a_file(tmp_path: Path) -> None:
    twice = ENTRY + ENTRY.replace("schema = 1", "")
    with pytest.raises(ManifestInvalid, match="name is not unique: net"):
        load_manifest(manifest_file(tmp_path, twice))
    with pytest.raises(ManifestInvalid, match=r"file is not unique: net\.tflite"):
        load_manifest(manifest_file(tmp_path, ENTRY + ENTRY.replace("schema = 1", "").replace('"net"', '"other"')))


def test_an_absent_manifest_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match="cannot be read"):
        load_manifest(tmp_path / "manifest.toml")


def test_an_unknown_variant_is_answered_with_the_known_ones() -> None:
    manifest = load_manifest()
    assert manifest.named("blazeface-short-range", Task.SCREEN) is manifest.variants[0]
    with pytest.raises(UsageError, match=r"no variant 'yolo' for task screen; known: blazeface-short-range, "):
        manifest.named("yolo", Task.SCREEN)
