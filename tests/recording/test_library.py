"""Recordings on disk: nothing outside their folder is ever reached, and what is no recording is left alone."""

from __future__ import annotations

import fcntl
from pathlib import Path
from uuid import uuid4

import pytest

from streamapp.errors import NotFound
from streamapp.faces import Mode
from streamapp.recording.entry import ENTRY_FILE, RESULTS_FILE, RecordingEntry, RecordingState, VideoPart
from streamapp.recording.library import RecordingLibrary

PART = VideoPart(
    file="video-1.mp4",
    codec="h264",
    encoded=False,
    width=64,
    height=48,
    start_pts_s=0,
    last_pts_s=1,
    seconds=1,
    pictures=30,
)


def put(root: Path, *, state: RecordingState = RecordingState.COMPLETE, started_at: float = 1e9) -> RecordingEntry:
    """A recording of a few bytes."""
    entry = RecordingEntry(
        id=uuid4(),
        stream="cam",
        source="test",
        mode=Mode.FAST,
        started_at=started_at,
        ended_at=None if state is RecordingState.RECORDING else started_at + 1,
        state=state,
        parts=(PART,),
    )
    folder = root / str(entry.id)
    folder.mkdir(parents=True)
    (folder / "video-1.mp4").write_bytes(b"video")
    (folder / RESULTS_FILE).write_bytes(b"{}\n")
    entry.save(folder)
    return entry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    return folder


@pytest.fixture
def library(root: Path) -> RecordingLibrary:
    return RecordingLibrary(root, min_free_bytes=0)


HOSTILE = [
    *("../../etc/passwd", "..", ".", "", "/etc", "%2e%2e", "..%5cx", "a\0b", "CON", "．．", "*"),
    *("{%s}", "urn:uuid:%s", "%s/", "%s/../x", "%s\0", " %s", "UPPER", "HEX"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_only_a_plain_uuid_names_a_recording(root: Path, library: RecordingLibrary, name: str) -> None:
    entry = put(root)
    known = str(entry.id)
    said = {"UPPER": known.upper(), "HEX": entry.id.hex}.get(name, name.replace("%s", known))
    for ask in (library.entry, library.results, library.delete, lambda name: library.video(name, 1)):
        with pytest.raises(NotFound):
            ask(said)
    assert library.entry(known) == entry


def test_links_are_not_followed(tmp_path: Path, root: Path, library: RecordingLibrary) -> None:
    outside = put(tmp_path / "outside")
    (root / str(outside.id)).symlink_to(tmp_path / "outside" / str(outside.id))
    inside = put(root)
    secret = tmp_path / "secret"
    secret.write_text("precious")
    folder = root / str(inside.id)
    for name in ("video-1.mp4", RESULTS_FILE):
        (folder / name).unlink()
        (folder / name).symlink_to(secret)
    assert library.entries() == [inside]
    for ask in (library.entry, library.delete):
        with pytest.raises(NotFound):
            ask(str(outside.id))
    with pytest.raises(NotFound):
        library.video(str(inside.id), 1)
    with pytest.raises(NotFound):
        library.results(str(inside.id))
    library.delete(str(inside.id))
    assert not folder.exists()
    assert secret.read_text() == "precious"
    (root / str(inside.id)).mkdir()
    (root / str(inside.id) / ENTRY_FILE).symlink_to(tmp_path / "outside" / str(outside.id) / ENTRY_FILE)
    assert library.entries() == []


def test_a_description_cannot_name_files_elsewhere(root: Path, library: RecordingLibrary) -> None:
    entry = put(root)
    path = root / str(entry.id) / ENTRY_FILE
    path.write_text(path.read_text().replace("video-1.mp4", "../../secret"))
    assert library.entries() == []
    other = put(root)
    (root / str(entry.id) / ENTRY_FILE).write_text((root / str(other.id) / ENTRY_FILE).read_text())
    assert library.entries() == [other], "one recording cannot say that it is another"


def test_newest_first(root: Path, library: RecordingLibrary) -> None:
    entries = [put(root, started_at=1e9 + order) for order in (2, 0, 1)]
    assert library.entries() == [entries[0], entries[2], entries[1]]


def test_there_may_be_no_folder_at_all(tmp_path: Path) -> None:
    library = RecordingLibrary(tmp_path / "absent", min_free_bytes=0)
    assert library.entries() == []
    assert library.adopt() == 0


def test_deleting_removes_every_file(root: Path, library: RecordingLibrary) -> None:
    entry, kept = put(root), put(root)
    library.delete(str(entry.id))
    assert [path.name for path in root.iterdir()] == [str(kept.id)]
    with pytest.raises(NotFound):
        library.delete(str(entry.id))


def test_a_removal_that_was_cut_off_is_finished_at_the_next_start(root: Path, library: RecordingLibrary) -> None:
    entry = put(root)
    (root / str(entry.id)).rename(root / f".removed-{entry.id}")
    assert library.entries() == []
    library.adopt()
    assert list(root.iterdir()) == []


def test_what_another_process_writes_is_left_alone(root: Path, library: RecordingLibrary) -> None:
    entry = put(root, state=RecordingState.RECORDING)
    with (root / str(entry.id) / RESULTS_FILE).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert library.adopt() == 0
    assert library.entry(str(entry.id)).state is RecordingState.RECORDING


def test_what_is_no_recording_is_left_alone(root: Path, library: RecordingLibrary) -> None:
    (root / "demo.mp4").write_bytes(b"demo")
    (root / "notes").mkdir()
    (root / "notes" / "video-1.mp4").write_bytes(b"mine")
    damaged = put(root)
    (root / str(damaged.id) / ENTRY_FILE).write_text("{")
    assert library.entries() == []
    assert library.adopt() == 0
    assert (root / "demo.mp4").exists()
    assert (root / "notes" / "video-1.mp4").exists()
    assert (root / str(damaged.id) / "video-1.mp4").exists()


def test_one_killed_before_anything_was_written_is_removed(root: Path, library: RecordingLibrary) -> None:
    folder = root / str(uuid4())
    folder.mkdir()
    (folder / RESULTS_FILE).touch()
    assert library.adopt() == 0
    assert not folder.exists()
