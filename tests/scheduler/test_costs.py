"""Estimates until something was measured here, then that; kept by file, device and runtime."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from streamapp.errors import ModelInvalid
from streamapp.scheduler.costs import UNKNOWN_BYTES, CostBook, CostSource, Measurement
from streamapp.zoo.spec import Variant
from tests.zoo.variants import variant

KNOWN = replace(variant("known"), size_bytes=40, memory_bytes={1: 100, 2: 110, 4: 130, 8: 170})
FIXED = replace(variant("fixed"), size_bytes=10, memory_bytes={1: 60})
SIZED = replace(variant("sized"), size_bytes=10_000_000)
DARK = replace(variant("dark"), size_bytes=None, sha256=None)


def book(path: Path | None = None, *, device: str = "cpu x", runtime: str = "ort 1", **changed: Variant) -> CostBook:
    variants = {v.name: v for v in (KNOWN, FIXED, SIZED, DARK)} | changed
    return CostBook(variants, device=device, load_overhead=1.5, runtime=runtime, path=path)


def test_an_estimate_is_split_by_owner() -> None:
    cost = book().cost("known", 4)
    assert cost.source is CostSource.MANIFEST
    holding = cost.holding
    assert (holding.weights_bytes, holding.arena_bytes, holding.workspace_bytes) == (40, 60, 30)
    assert holding.loading_bytes == 60


@pytest.mark.parametrize(("bucket", "expected"), [(1, 100), (3, 130), (8, 170), (16, 170)])
def test_an_estimate_is_that_of_the_next_larger_batch(bucket: int, expected: int) -> None:
    assert book().cost("known", bucket).holding.resident_bytes == expected


def test_without_an_estimate_the_files_size_says_something_and_without_that_it_is_taken_for_large() -> None:
    assert book().cost("sized", 8).source is CostSource.FILE_SIZE
    assert book().cost("sized", 8).holding.resident_bytes == 52_000_000
    assert book().cost("dark", 1).source is CostSource.UNKNOWN
    assert book().cost("dark", 1).holding.resident_bytes == UNKNOWN_BYTES
    with pytest.raises(ModelInvalid, match="no variant named"):
        book().cost("stranger", 1)


def test_a_measurement_replaces_the_estimate_and_corrects_that_of_other_batches() -> None:
    costs = book()
    costs.note("known", 8, Measurement(340, 400, 1.5))
    cost = costs.cost("known", 8)
    assert (cost.source, cost.holding.resident_bytes, cost.holding.loading_bytes) == (CostSource.MEASURED, 340, 60)
    assert cost.load_s == 1.5
    assert cost.holding.arena_bytes + cost.holding.weights_bytes == 200
    assert costs.cost("known", 1).holding.resident_bytes == 200
    costs.note("known", 1, Measurement(150, 400, 1.0))
    assert costs.cost("known", 1).holding.resident_bytes == 150
    assert costs.cost("known", 8).holding.resident_bytes == 340


def test_what_loading_took_rises_at_once_falls_by_halves_and_not_to_nothing() -> None:
    costs = book()
    loading = []
    for peak in (400, 500, 400, 400, 340, 340, 340, 340):
        costs.note("known", 1, Measurement(340, peak, 1.0))
        loading.append(costs.cost("known", 1).holding.loading_bytes)
    assert loading == [60, 160, 110, 85, 42, 21, 15, 15]


def test_a_session_is_never_smaller_than_its_file() -> None:
    costs = book()
    costs.note("known", 1, Measurement(3, 0, 1.0))
    assert costs.cost("known", 1).holding.resident_bytes == 40


def test_measurements_are_kept_by_file_device_and_runtime(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    costs = book(path)
    costs.note("known", 1, Measurement(500, 900, 2.0))
    costs.note("dark", 1, Measurement(500, 900, 2.0))
    assert costs.cost("dark", 1).source is CostSource.MEASURED
    costs.save()
    assert [entry.name for entry in tmp_path.iterdir()] == ["costs.json"]
    assert book(path).cost("known", 1).holding.resident_bytes == 500
    assert book(path).cost("dark", 1).source is CostSource.UNKNOWN
    assert book(path, device="cpu y").cost("known", 1).source is CostSource.MANIFEST
    assert book(path, runtime="ort 2").cost("known", 1).source is CostSource.MANIFEST
    changed = replace(KNOWN, sha256="0" * 64)
    assert book(path, known=changed).cost("known", 1).source is CostSource.MANIFEST
    other = book(path, device="cpu y")
    other.note("fixed", 1, Measurement(77, 0, 1.0))
    other.save()
    assert book(path).cost("known", 1).source is CostSource.MEASURED


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"schema_version": 2}), '{"costs": {"a": {"x": 1}}}'])
def test_a_damaged_file_is_ignored_and_said(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "costs.json"
    path.write_text(content)
    with caplog.at_level(logging.WARNING):
        costs = book(path)
    assert "ignored" in caplog.text
    assert costs.cost("known", 1).source is CostSource.MANIFEST
    costs.note("known", 1, Measurement(500, 0, 1.0))
    costs.save()
    assert book(path).cost("known", 1).source is CostSource.MEASURED


def test_a_folder_that_cannot_be_written_is_said_and_does_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    costs = book(tmp_path / "absent" / "costs.json")
    costs.note("known", 1, Measurement(500, 0, 1.0))
    with caplog.at_level(logging.WARNING):
        costs.save()
    assert "not kept" in caplog.text
