"""Files of results are read for what they are, written whole, and refused with the line that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamapp.errors import UsageError
from streamapp.faces import Mode
from streamapp.recording.entry import ModelInUse
from streamapp.replay.conditions import Conditions
from streamapp.replay.differences import EXACT, differences
from streamapp.replay.golden import GoldenHeader, checksum, read_record, write_golden
from streamapp.results import Answered, FrameResult, Keyframe, Step
from tests.replay.results_made import analyses, result, track
from tests.replay.sessions import write_results

CHOSEN = Keyframe(("interval",), "interval")
MODEL = ModelInUse(task="detect", variant="net", sha256="ab" * 32, runtime="onnxruntime 1")
RECORDING = json.dumps(
    {"recording": {"format": 1, "app_version": "0.1.0", "mode": "full", "stream": "cam", "codec": "h264"}}
)


def header(*, scheduled: bool = False) -> GoldenHeader:
    return GoldenHeader(
        app_version="0.1.0",
        mode=Mode.FULL,
        models=(MODEL,),
        settings={"pipeline": {"min_score": 0.5}},
        clip="clip.mp4",
        clip_sha256="cd" * 32,
        scheduled=scheduled,
    )


def waited_for(frame: int) -> FrameResult:
    """As a run that loses nothing tells it."""
    return result(frame, keyframe=CHOSEN, answers=(Answered(frame, Step.SWEEP),))


def test_a_golden_is_read_as_it_was_written_but_for_what_a_clock_measured(tmp_path: Path) -> None:
    results = [result(0, track(known=analyses())), waited_for(1), result(2)]
    path = tmp_path / "clip.golden.jsonl"
    write_golden(path, header(), results)
    record = read_record(path)
    assert differences(results, record.results, EXACT) == []
    assert (record.clip_sha256, record.is_live, record.mode) == ("cd" * 32, False, Mode.FULL)
    assert record.conditions == header()
    assert "captured_at" not in path.read_text()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_same_results_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_golden(tmp_path / name, header(), [result(0, track(known=analyses()))])
    assert checksum(tmp_path / "a") == checksum(tmp_path / "b")


def test_a_golden_of_a_repeated_session_is_repeated_again(tmp_path: Path) -> None:
    write_golden(tmp_path / "g", header(scheduled=True), [result(0)])
    assert read_record(tmp_path / "g").is_live


def test_a_recording_is_always_repeated_as_it_went(tmp_path: Path) -> None:
    record = read_record(write_results(tmp_path / "r", [result(0), waited_for(1)], header=RECORDING))
    assert record.is_live
    assert isinstance(record.conditions, Conditions)
    assert record.conditions.models == ()


def test_results_without_a_header_tell_by_themselves_whether_they_were_live(tmp_path: Path) -> None:
    def is_live(*results: FrameResult) -> bool:
        return read_record(write_results(tmp_path / "r", list(results))).is_live

    assert not is_live(waited_for(0), result(1), waited_for(2))
    assert is_live(result(1), result(2)), "frames are missing"
    assert is_live(result(0), result(2))
    assert is_live(result(0, keyframe=CHOSEN), result(1, answers=(Answered(0, Step.SWEEP),))), "answers were late"
    assert is_live(result(0, keyframe=CHOSEN), result(1)), "answers never came"


def test_a_half_line_at_the_end_is_left_out(tmp_path: Path) -> None:
    path = write_results(tmp_path / "r", [result(0), result(1)], header=RECORDING)
    path.write_bytes(path.read_bytes() + result(2).to_json().encode()[:80])
    assert [one.frame for one in read_record(path).results] == [0, 1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no results"),
        ("{}\n", "no result in line 1"),
        ("hello\n", "does not begin like a file of results"),
        ("[1]\n", "does not begin like a file of results"),
        ('{"golden": {"app_version": "1"}}\n', "does not begin like a file of results"),
        (f"{RECORDING}\n", "has no results"),
        (f"{RECORDING}\n{result(0).to_json()}\nnot json\n", "no result in line 3"),
        (f"{RECORDING}\n[]\n", "no result in line 2"),
        (f"{result(1).to_json()}\n{result(0).to_json()}\n", "frame 0 does not follow frame 1"),
        (f"{result(0).to_json()}\n{result(1, mode=Mode.FAST).to_json()}\n", "of the same session"),
    ],
)
def test_what_is_no_file_of_results_is_refused_with_the_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "garbage"
    path.write_text(text)
    with pytest.raises(UsageError, match=problem):
        read_record(path)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_else(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content + b"\n")
    with pytest.raises(UsageError):
        read_record(path)


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_record(tmp_path / "absent")
    with pytest.raises(UsageError, match="cannot be read"):
        checksum(tmp_path / "absent")
    with pytest.raises(UsageError, match="cannot be written"):
        write_golden(tmp_path / "absent" / "g", header(), [result(0)])
