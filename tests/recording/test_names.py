"""Names in recordings: none on disk, those of today when they are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

from streamapp.recording.entry import RESULTS_FILE
from streamapp.recording.names import nameless, renamed
from streamapp.recording.sidecar import SidecarWriter, named_lines
from streamapp.results import UNKNOWN, Analyses, FrameResult, IdentityAnalysis, IdentityReason, IdentityState
from tests.pictures import output, track
from tests.recording.recorded import header

ADA = UUID(int=7)
NAMED = IdentityAnalysis(
    "a",
    7,
    "new_track",
    0.5,
    3,
    0.9,
    state=IdentityState.IDENTIFIED,
    because=IdentityReason.ALIKE,
    name="Ada Lovelace",
    person_id=ADA,
    similarity=5.0,
    margin=None,
    scores={"a": 0.7},
    missing=(),
)
STRANGER = replace(NAMED, state=IdentityState.UNKNOWN, name=UNKNOWN, person_id=None)


def result(identity: IdentityAnalysis | None, index: int = 0) -> FrameResult:
    made = output(index, track()).result
    analyses = Analyses() if identity is None else Analyses(identity=identity)
    return replace(made, tracks=(replace(made.tracks[0], analyses=analyses),))


def name_in(of: FrameResult) -> str | None:
    return of.tracks[0].analyses["identity"].name


def test_only_the_names_of_people_change() -> None:
    assert name_in(nameless(result(NAMED))) is None
    assert name_in(renamed(result(NAMED), {ADA: "Ada L."}.get)) == "Ada L."
    assert renamed(nameless(result(NAMED)), {ADA: "Ada Lovelace"}.get) == result(NAMED)
    for other in (result(STRANGER), result(None)):
        assert nameless(other) == other


def test_a_recording_has_no_names_and_is_told_with_those_of_today(tmp_path: Path) -> None:
    writer = SidecarWriter(tmp_path)
    writer.begin(header())
    for index, identity in enumerate((NAMED, STRANGER, None)):
        writer.add_picture(index / 30)
        writer.add_result(result(identity, index))
    writer.write()
    writer.close()
    path = tmp_path / RESULTS_FILE
    assert b"Lovelace" not in path.read_bytes()
    assert str(ADA).encode() in path.read_bytes()
    head, first, *others = named_lines(path, {ADA: "Ada L."}.get)
    assert head + b"".join(others) == path.read_bytes().replace(path.read_bytes().splitlines(keepends=True)[1], b"")
    assert name_in(FrameResult.from_json(first)) == "Ada L."
    assert name_in(FrameResult.from_json(list(named_lines(path, lambda _: None))[1])) is None, "she was erased"
