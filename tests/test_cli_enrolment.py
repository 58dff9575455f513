"""`streamapp gallery enroll | identify | verify`: what is printed, and the exit codes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streamapp.cli_gallery import gallery_app
from streamapp.errors import EnrolmentInvalid, GalleryInUse, ModelMissing, UsageError
from streamapp.gallery.gallery import store_of
from streamapp.settings import load_settings
from tests.shared_data import shared_file
from tests.weights import models_folder

CONSENT = ("--consent-by", "herself", "--consent-text", "v1", "--consent-until", "2090-12-31")
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMAPP_MODELS__DIR", str(tmp_path))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("STREAMAPP_MODELS__DIR", str(models_folder(folder)))


def photo(name: str) -> str:
    return str(shared_file(f"media/{name}.jpg"))


def gallery(*arguments: str) -> Result:
    result = CliRunner().invoke(gallery_app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.weights
@pytest.mark.media
def test_somebody_is_enrolled_and_recognised(weights: None) -> None:
    enrolled = gallery("enroll", "Ada [b]", photo("pairs/deepface/img1"), photo("groups/obama_and_biden"), *CONSENT)
    assert enrolled.exit_code == 0
    assert enrolled.stdout.startswith("Ada [b] is enrolled as ")
    assert enrolled.stdout.endswith("by 1 of 2 pictures\n")
    assert "obama_and_biden.jpg: several_faces: " in enrolled.stderr
    found = gallery("identify", photo("pairs/deepface/couple"))
    assert found.exit_code == 0
    assert "identified" in found.stdout
    assert "Ada [b]" in found.stdout
    assert "unknown" in found.stdout
    again = gallery("enroll", "Eve", photo("pairs/deepface/img2"), *CONSENT)
    assert (again.exit_code, again.stdout) == (2, "")
    assert again.stderr.startswith("error: already_enrolled: ")
    assert gallery("list").stdout.count("herself") == 1
    log = gallery("audit", "list").stdout
    assert "enrolled" in log
    assert "cli" in log


@pytest.mark.weights
@pytest.mark.media
def test_two_pictures_are_verified_by_exit_code(weights: None) -> None:
    first = photo("pairs/deepface/img1")
    same = gallery("verify", first, photo("pairs/deepface/img2"))
    assert (same.exit_code, same.stdout.splitlines()[0].partition(":")[0]) == (0, "the same person")
    other = gallery("verify", first, photo("pairs/deepface/img3"))
    assert (other.exit_code, other.stdout.splitlines()[0].partition(":")[0]) == (1, "not the same person")
    none = gallery("verify", first, photo("pairs/deepface/couple"))
    assert (none.exit_code, none.stdout) == (2, "")
    assert "couple.jpg: several_faces: " in none.stderr


@pytest.mark.weights
@pytest.mark.media
def test_a_print_is_refused_unless_it_is_meant(weights: None) -> None:
    refused = gallery("enroll", "Ada", photo("spoof/image_F1"), *CONSENT)
    assert refused.exit_code == 2
    assert "image_F1.jpg: spoof: " in refused.stderr
    assert "herself" not in gallery("list").stdout
    turned = gallery("enroll", "Ada", photo("spoof/image_F1"), *CONSENT, "--allow-spoof")
    assert ": face_turned_away: " in turned.stderr
    assert ": spoof: " not in turned.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("enroll", "Ada", "none.jpg", *CONSENT[:-1], "tomorrow"), EnrolmentInvalid),
        (("enroll", "Ada", "none.jpg", *CONSENT[:-1], "2020-01-01"), EnrolmentInvalid),
        (("enroll", " ", "none.jpg", *CONSENT), EnrolmentInvalid),
        (("enroll", "Ada", "none.jpg", *CONSENT), ModelMissing),
        (("identify", "none.jpg"), ModelMissing),
        (("verify", "none.jpg", "none.jpg"), UsageError),
    ],
)
def test_what_is_wrong_is_told_before_much_is_done(arguments: tuple[str, ...], error: type[Exception]) -> None:
    assert isinstance(CliRunner().invoke(gallery_app, arguments).exception, error)


def test_consent_is_not_optional() -> None:
    result = CliRunner().invoke(gallery_app, ["enroll", "Ada", "none.jpg"])
    assert result.exit_code == 2
    assert "--consent-by" in result.stderr


@pytest.mark.weights
def test_a_file_that_is_no_picture_is_one_line(weights: None, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"<svg/>")
    command = [sys.executable, "-m", "streamapp", "gallery", "verify", "a.jpg", "a.jpg"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: a.jpg: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.weights
@pytest.mark.media
def test_not_while_another_process_has_the_gallery(weights: None) -> None:
    async def hold() -> None:
        store = store_of(load_settings().gallery)
        await store.open(time.time())
        try:
            arguments = ["enroll", "Ada", photo("pairs/deepface/img1"), *CONSENT]
            done = await asyncio.to_thread(CliRunner().invoke, gallery_app, arguments)
            assert isinstance(done.exception, GalleryInUse)
        finally:
            await store.close()

    asyncio.run(hold())
