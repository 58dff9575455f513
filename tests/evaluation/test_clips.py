"""Labelled clips: MOTChallenge's boxes, who people are, who is enrolled; and what is wrong with labels is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.errors import UsageError
from streamapp.evaluation.clips import read_boxed_clips, read_boxes, read_gallery, read_people_clips

PEOPLE = "clip,id,name\nlobby.mp4,1,Ada\nlobby.mp4,2,\ndoor.mp4,,Ada\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("lobby.mp4", "door.mp4"):
        (tmp_path / name).write_bytes(b"not looked into")
    (tmp_path / "lobby.txt").write_text("1,1,11,21,30,40\n1,2,50.5,20,10,10,1,1,0.8\n3,1,11,21,30,40,1,-1,-1,-1\n")
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "gallery" / "Ada").mkdir(parents=True)
    (tmp_path / "gallery" / "Ada" / "a.jpg").write_bytes(b"")
    return tmp_path


def test_frames_and_pixels_begin_with_one_in_the_file_and_with_nought_here(folder: Path) -> None:
    found = read_boxes(folder / "lobby.txt")
    assert sorted(found) == [0, 2]
    assert found[0].ids.tolist() == [1, 2]
    assert found[0].boxes.tolist() == [[10, 20, 40, 60], [49.5, 19, 59.5, 29]]


def test_a_row_that_is_not_considered_is_a_face_that_is_not_judged(folder: Path) -> None:
    (folder / "lobby.txt").write_text("1,1,1,1,10,10,0\n1,2,1,1,10,10,1\n1,1,5,5,10,10,0\n")
    (labels,) = read_boxes(folder / "lobby.txt").values()
    assert labels.ids.tolist() == [2]
    assert len(labels.ignored) == 2


def test_only_clips_with_boxes_are_tracked(folder: Path) -> None:
    (clip,) = read_boxed_clips(folder)
    assert clip.name == "lobby"
    assert len(clip.at(0).ids) == 2
    assert len(clip.at(1).ids) == 0


def test_people_have_the_names_of_the_table_and_strangers_none(folder: Path) -> None:
    door, lobby = read_people_clips(folder, ["Ada"])
    assert lobby.people == {1: "Ada", 2: None}
    assert (door.people, door.boxes) == ({None: "Ada"}, None)


def test_the_gallery_has_a_folder_for_everybody(folder: Path) -> None:
    assert read_gallery(folder) == {"Ada": [folder / "gallery/Ada/a.jpg"]}


def test_labels_beyond_the_end_of_the_clip_are_an_error(folder: Path) -> None:
    (clip,) = read_boxed_clips(folder)
    clip.check_length(3)
    with pytest.raises(UsageError, match=r"labels frame 3; the clip has 2"):
        clip.check_length(2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,1,1,1,1\n", "line 1: 6 columns"),
        ("1,1,1,1,1,1\n\n1,x,1,1,1,1\n", "line 3: .*'x'"),
        ("0,1,1,1,1,1\n", "frames begin with 1"),
        ("1,1,1,1,0,1\n", "a width"),
        ("1,1,nan,1,1,1\n", "a width"),
        ("1,1,1,1,1,1\n1,1,2,2,1,1\n", "line 2: 1 is in frame 1 twice"),
        ("\n", "labels nothing"),
    ],
)
def test_wrong_boxes_are_told_with_their_line(folder: Path, text: str, message: str) -> None:
    (folder / "lobby.txt").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_boxed_clips(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,name\nlobby.mp4,Ada\n", "columns clip, id, name"),
        ("clip,id,name\nlobby.mp4,1,Grace\nlobby.mp4,2,\n", r"names 'Grace', but gallery/Grace/ has no pictures"),
        ("clip,id,name\nlobby.mp4,1,Ada\n", "does not say who 2 in lobby.mp4 is"),
        ("clip,id,name\nlobby.mp4,1,Ada\nlobby.mp4,1,\n", "says twice who 1"),
        ("clip,id,name\nlobby.mp4,1,Ada\nlobby.mp4,,\n", "with and without an id"),
        ("clip,id,name\nlobby.mp4,one,Ada\n", "'one' is no whole number"),
        ("clip,id,name\nhall.mp4,1,Ada\n", "not there: hall.mp4"),
        ("clip,id,name\ndoor.mp4,1,Ada\n", "door.txt cannot be read"),
    ],
)
def test_wrong_people_are_told(folder: Path, text: str, message: str) -> None:
    (folder / "people.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_people_clips(folder, ["Ada"])


def test_what_is_lacking_is_named(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="has no videos"):
        read_boxed_clips(empty)
    with pytest.raises(UsageError, match="is not a folder"):
        read_boxed_clips(tmp_path / "gone")
    with pytest.raises(UsageError, match="NAME/"):
        read_gallery(empty)
    (folder / "lobby.txt").unlink()
    with pytest.raises(UsageError, match="no clip with a file of boxes"):
        read_boxed_clips(folder)
