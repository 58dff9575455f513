"""`streamapp evaluate tracking | stability` on clips made of real pictures, with real weights, and on bad input."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streamapp.cli import app
from streamapp.errors import ExitCode, UsageError
from tests.labelled_video import Actor, write_clip
from tests.shared_data import shared_file
from tests.test_cli_evaluate import rows
from tests.weights import models_folder

PAIRS = "pairs/deepface"
ADA, GRACE, STRANGER = f"{PAIRS}/img2.jpg", f"{PAIRS}/img8.jpg", f"{PAIRS}/img16.jpg"
ENROLLED = {"Ada": "img1.jpg", "Grace": "img9.jpg", "absent-1": "img13.jpg", "absent-2": "img20.jpg"}
LOBBY = (
    Actor(1, ADA, (0.15, 0.45), (0.8, 0.5), (110, 120)),
    Actor(2, GRACE, (0.85, 0.5), (0.3, 0.45), (100, 90), from_s=0.5, blur_px=2),
    Actor(3, STRANGER, (0.45, 0.7), (0.2, 0.35), (80, 90), from_s=3),
)

pytestmark = [pytest.mark.weights, pytest.mark.media]


@pytest.fixture(scope="module")
def lobby(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the commands take it: two enrolled people and a stranger, and two people who are not in the clip."""
    folder = tmp_path_factory.mktemp("lobby")
    write_clip(folder / "lobby.mp4", LOBBY, s=6)
    (folder / "people.csv").write_text("clip,id,name\nlobby.mp4,1,Ada\nlobby.mp4,2,Grace\nlobby.mp4,3,\n")
    for name, picture in ENROLLED.items():
        (folder / "gallery" / name).mkdir(parents=True)
        shutil.copy(shared_file(f"media/{PAIRS}/{picture}"), folder / "gallery" / name)
    return folder


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("STREAMAPP_MODELS__DIR", str(models_folder(tmp_path / "models")))
    monkeypatch.chdir(tmp_path)


def evaluate(*words: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, words)])


def share(cell: str) -> float:
    return float(cell.split("%")[0]) / 100


def count(cell: str) -> int:
    """The number in brackets of a rate."""
    return int(cell.rsplit("(", 1)[1].rstrip(")"))


def test_tracks_of_every_mode_stand_beside_ids_by_frame(lobby: Path) -> None:
    done = evaluate("tracking", lobby, "--mode", "fast,standard")
    assert done.exit_code == 0, done.output
    table = {(mode, by): cells for mode, by, *cells in rows(done.output)}
    assert set(table) == {(mode, by) for mode in ("fast", "standard") for by in ("streamapp", "frame by frame")}
    for cells in table.values():
        recall, precision, mota, idf1 = map(share, cells[:4])
        assert min(recall, precision) > 0.85
        assert 0.5 < idf1 <= 1
        assert mota <= recall
    for mode in ("fast", "standard"):
        ours, baseline = table[mode, "streamapp"], table[mode, "frame by frame"]
        assert share(ours[0]) >= share(baseline[0])
        assert count(ours[5]) <= count(baseline[5])
    assert "A small sample" in done.output


def test_people_are_named_and_labels_are_calmer_than_those_of_crops_alone(lobby: Path, tmp_path: Path) -> None:
    done = evaluate("stability", lobby)
    identity, changes = [cells for by, *cells in rows(done.output) if by == "streamapp"]
    _, recall, wrong, false_matches, wrong_names, first, named = identity
    assert share(recall) > 0.8
    assert (share(wrong), count(false_matches), count(wrong_names)) == (0, 0, 0)
    assert float(first.split()[0]) < 0.5
    assert named.startswith("100.0%")
    for_recall, at_recall, steady = [cells for by, *cells in rows(done.output) if by == "steady crops alone"]
    assert (for_recall[0], at_recall[0]) == ("the app's", "equal recall")
    assert share(for_recall[1]) > 0.8
    assert sum(map(count, changes)) < sum(map(count, steady))
    assert "1 clips, 6 s, 4 people enrolled" in done.output
    assert "Against steady crops alone: wrong names none in either" in done.output
    (verdict,) = [line for line in done.output.splitlines() if line.startswith("Against steady crops alone")]
    assert done.exit_code == (ExitCode.OK if verdict.endswith(" met.") else ExitCode.CHECK_FAILED), done.output
    assert not (tmp_path / "gallery").exists(), "the app's own gallery is not touched"
    assert not (tmp_path / "keys").exists()


def test_somebody_who_is_enrolled_under_a_strangers_face_is_a_false_match(lobby: Path, tmp_path: Path) -> None:
    swapped = tmp_path / "swapped"
    shutil.copytree(lobby, swapped)
    (swapped / "people.csv").write_text("clip,id,name\nlobby.mp4,1,\nlobby.mp4,2,Ada\nlobby.mp4,3,\n")
    done = evaluate("stability", swapped, "--every-s", "0.5")
    app_row, _ = [cells for by, *cells in rows(done.output) if by == "streamapp"]
    _, _, wrong, false_matches, wrong_names, _, named = app_row
    assert share(wrong) > 0.5
    assert min(count(false_matches), count(wrong_names)) >= 1
    assert named.startswith("0.0%")
    assert done.exit_code == ExitCode.CHECK_FAILED


def test_a_clip_without_boxes_is_one_persons(lobby: Path, tmp_path: Path) -> None:
    folder = tmp_path / "door"
    shutil.copytree(lobby / "gallery", folder / "gallery")
    write_clip(folder / "door.mp4", LOBBY[:1], s=2)
    (folder / "door.txt").unlink()
    (folder / "people.csv").write_text("clip,id,name\ndoor.mp4,,Ada\n")
    done = evaluate("stability", folder)
    app_row, _ = [cells for by, *cells in rows(done.output) if by == "streamapp"]
    assert share(app_row[1]) > 0.8


def test_what_is_no_video_or_no_face_is_told(lobby: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(lobby, broken)
    (broken / "lobby.mp4").write_bytes(b"no video")
    done = evaluate("tracking", broken, "--mode", "fast")
    assert isinstance(done.exception, UsageError)
    assert "lobby.mp4 cannot be played" in str(done.exception)
    (broken / "gallery/Ada/img1.jpg").write_bytes(b"no picture")
    done = evaluate("stability", broken)
    assert isinstance(done.exception, UsageError)
    assert "is not a picture" in str(done.exception)


def test_labels_of_more_frames_than_there_are_end_the_measurement(lobby: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    shutil.copytree(lobby, longer)
    with (longer / "lobby.txt").open("a") as labels:
        labels.write("151,1,10,10,50,50,1\n")
    done = evaluate("tracking", longer, "--mode", "fast")
    assert isinstance(done.exception, UsageError)
    assert "labels frame 151; the clip has 150" in str(done.exception)
