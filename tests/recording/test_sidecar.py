"""The sidecar: a result goes out when its picture is in the video, in order, whole lines only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamapp.errors import RecordingFailed
from streamapp.recording.entry import RESULTS_FILE
from streamapp.recording.sidecar import SidecarWriter, cut_off, is_at_work, read_header, read_results
from streamapp.results import FrameResult
from tests.pictures import output, track
from tests.recording.recorded import header


def result(index: int) -> FrameResult:
    return output(index, track()).result


def frames(folder: Path) -> list[int]:
    return [found.frame for found in read_results(folder / RESULTS_FILE)]


@pytest.fixture
def writer(tmp_path: Path) -> SidecarWriter:
    made = SidecarWriter(tmp_path)
    made.begin(header())
    return made


def add(writer: SidecarWriter, pictures: list[int], results: list[int]) -> None:
    for index in pictures:
        writer.add_picture(index / 30)
    for index in results:
        writer.add_result(result(index))
    writer.write()


def test_results_wait_for_their_pictures(tmp_path: Path, writer: SidecarWriter) -> None:
    add(writer, [], [0, 1, 2])
    assert frames(tmp_path) == []
    add(writer, [0, 1], [])
    assert frames(tmp_path) == [0, 1]
    add(writer, [2, 3, 4], [3])
    assert frames(tmp_path) == [0, 1, 2, 3]
    assert writer.without_picture == 0


def test_results_from_before_the_first_picture_are_not_missed(tmp_path: Path, writer: SidecarWriter) -> None:
    add(writer, [], [0, 1, 2])
    add(writer, list(range(30, 70)), [30])
    assert frames(tmp_path) == [30]
    assert writer.without_picture == 0


def test_a_result_whose_picture_never_comes_holds_up_the_others_for_a_second_only(
    tmp_path: Path, writer: SidecarWriter
) -> None:
    add(writer, [0, 2], [0, 1, 2])
    assert frames(tmp_path) == [0]
    add(writer, list(range(3, 35)), [3])
    assert frames(tmp_path) == [0, 2, 3]
    assert writer.without_picture == 1


def test_pictures_out_of_order_are_found(tmp_path: Path, writer: SidecarWriter) -> None:
    add(writer, [0, 3, 1, 2, 6, 4, 5], [0, 1, 2, 3, 4, 5, 6])
    assert frames(tmp_path) == [0, 1, 2, 3, 4, 5, 6]


def test_what_has_no_picture_yet_is_handed_back_at_the_end(tmp_path: Path, writer: SidecarWriter) -> None:
    add(writer, [0, 1], [0, 1, 2, 3])
    assert [left.frame for left in writer.close()] == [2, 3]
    assert frames(tmp_path) == [0, 1]
    assert writer.close() == ()


def test_what_waits_is_bounded_and_counted(writer: SidecarWriter) -> None:
    add(writer, [], list(range(SidecarWriter.MAX_WAITING + 5)))
    assert writer.without_picture == 5


def test_the_sidecar_is_locked_while_it_is_written(tmp_path: Path, writer: SidecarWriter) -> None:
    assert is_at_work(tmp_path)
    writer.close()
    assert not is_at_work(tmp_path)
    assert not is_at_work(tmp_path / "absent")


def test_an_existing_file_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / RESULTS_FILE).write_text("precious")
    with pytest.raises(FileExistsError):
        SidecarWriter(tmp_path)
    assert (tmp_path / RESULTS_FILE).read_text() == "precious"


def test_a_half_line_is_not_read_and_is_cut_off(tmp_path: Path, writer: SidecarWriter) -> None:
    add(writer, [0, 1, 2], [0, 1, 2])
    writer.close()
    path = tmp_path / RESULTS_FILE
    path.write_bytes(path.read_bytes()[:-9])
    assert frames(tmp_path) == [0, 1]
    assert cut_off(path, 10.0, ()) == 2
    assert path.read_bytes().endswith(b"}\n")


def test_results_are_cut_off_where_the_pictures_end(tmp_path: Path, writer: SidecarWriter) -> None:
    add(writer, list(range(10)), list(range(10)))
    writer.close()
    path = tmp_path / RESULTS_FILE
    assert cut_off(path, 3 / 30, [4 / 30, 5 / 30 + 0.0004, 7 / 30]) == 6
    assert frames(tmp_path) == [0, 1, 2, 3, 4, 5]
    assert cut_off(path, float("-inf"), ()) == 0
    assert read_header(path).stream == "cam"


@pytest.mark.parametrize("text", ["", "{}\n", '{"frame": 1}\n', "not json\n"])
def test_what_has_no_header_is_no_sidecar(tmp_path: Path, text: str) -> None:
    (tmp_path / RESULTS_FILE).write_text(text)
    with pytest.raises(RecordingFailed):
        read_header(tmp_path / RESULTS_FILE)


def test_a_line_that_is_no_result_is_told(tmp_path: Path, writer: SidecarWriter) -> None:
    writer.close()
    with (tmp_path / RESULTS_FILE).open("a") as file:
        file.write(json.dumps({"frame": 1}) + "\n")
    with pytest.raises(RecordingFailed, match="no result"):
        frames(tmp_path)
