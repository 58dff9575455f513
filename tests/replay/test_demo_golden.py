"""The demo clip gives what its golden results say, with the weights those were made with."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.assets import asset
from streamapp.replay.clip import open_clip
from streamapp.replay.differences import differences
from streamapp.replay.golden import checksum, read_record
from streamapp.replay.run import replay
from tests.replay.sessions import settings_of
from tests.weights import weights_of

DEMO = asset("recordings/demo.mp4")
GOLDENS = sorted(DEMO.parent.glob("demo.*.golden.jsonl"))


def test_there_is_one() -> None:
    assert GOLDENS


@pytest.mark.weights
@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.name)
async def test_the_demo_clip_is_decided_as_its_golden_says(golden: Path, tmp_path: Path) -> None:
    record = read_record(golden)
    assert record.conditions is not None
    assert record.clip_sha256 == checksum(DEMO), "the clip was made anew; so must be the golden: docs/replay.md"
    assert not record.is_live
    for model in record.conditions.models:
        variant, path = weights_of(model.variant)
        assert variant.sha256 == model.sha256, "the golden is of other weights: docs/replay.md"
        (tmp_path / variant.file).symlink_to(path.resolve())
    replayed = await replay(open_clip(DEMO), record.mode, settings_of(tmp_path), record)
    changes = record.conditions.changes(replayed.conditions)
    assert not [change for change in changes if not change.startswith(("processor", "app version"))]
    found = differences(record.results, replayed.results)
    assert found == [], f"{len(found)} differences; `streamapp replay {DEMO} --against {golden}` shows them"
