"""A variant's file gets into the models folder whole and checked, or not at all."""

from __future__ import annotations

import fcntl
import resource
import threading
from pathlib import Path

import pytest

from streamapp.errors import DownloadFailed, UsageError
from streamapp.zoo.fetch import Fetched, Progress, fetch_first
from streamapp.zoo.spec import UrlSource
from tests.web_server import Answer, FileOnline, WebServer
from tests.zoo.variants import CONTENT, variant, wheel_source, write_wheel

NOWHERE = UrlSource("http://127.0.0.1:1/net.tflite")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder that is not there yet."""
    return tmp_path / "data" / "models"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_file_comes_from_its_address(models: Path) -> None:
    seen: list[Progress] = []
    with WebServer(FileOnline(CONTENT)) as server:
        source = UrlSource(f"{server.url}/net")
        got = fetch_first([variant("net", CONTENT, source)], models, mirror=None, on_progress=seen.append)
    assert got.path.read_bytes() == CONTENT
    assert got.source == str(source)
    assert got.digest.sha256 == got.variant.sha256
    assert names(models) == ["net.tflite"]
    assert seen[-1] == Progress("net", str(source), len(CONTENT), len(CONTENT))


def test_a_file_comes_out_of_a_wheel(models: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(mirror))
    write_wheel(mirror)
    got = fetch_first([variant("net", CONTENT, wheel_source())], models, mirror=None)
    assert got.path.read_bytes() == CONTENT
    assert got.source == "wheel made-up-weights==1.0"


def test_the_mirror_is_asked_for_every_variant_before_any_source_is(models: Path, mirror: Path) -> None:
    (mirror / "second.tflite").write_bytes(CONTENT)
    with WebServer(FileOnline(CONTENT)) as server:
        first = variant("first", CONTENT, UrlSource(server.url))
        got = fetch_first([first, variant("second")], models, mirror=str(mirror))
    assert (got.variant.name, got.source) == ("second", f"mirror {mirror}/second.tflite")
    assert server.asked == []


def test_sources_are_asked_in_order_where_the_mirror_has_nothing(models: Path, mirror: Path) -> None:
    with WebServer(FileOnline(CONTENT)) as server:
        source = UrlSource(f"{server.url}/net")
        got = fetch_first([variant("net", CONTENT, NOWHERE, source)], models, mirror=str(mirror))
    assert got.source == str(source)


def test_a_mirror_may_be_an_address(models: Path) -> None:
    with WebServer(FileOnline(CONTENT)) as server:
        got = fetch_first([variant()], models, mirror=f"{server.url}/flat/")
    assert [asked.path for asked in server.asked] == ["/flat/net.tflite"]
    assert got.path.read_bytes() == CONTENT


def test_a_mirror_that_is_neither_is_refused(models: Path) -> None:
    with pytest.raises(UsageError, match="neither a folder nor"):
        fetch_first([variant()], models, mirror="ftp://mirror/models")


def test_a_wrong_file_is_refused_and_the_next_place_asked(models: Path, mirror: Path) -> None:
    (mirror / "net.tflite").write_bytes(CONTENT[::-1])
    with WebServer(FileOnline(CONTENT)) as server:
        got = fetch_first([variant("net", CONTENT, UrlSource(server.url))], models, mirror=str(mirror))
    assert got.path.read_bytes() == CONTENT


def test_when_all_fail_each_place_is_named_with_its_reason(models: Path, mirror: Path) -> None:
    (mirror / "net.tflite").write_bytes(CONTENT[::-1])
    (mirror / "big.tflite").write_bytes(CONTENT + b"x")
    with WebServer(lambda _: Answer(CONTENT[::-1])) as server:
        net = variant("net", CONTENT, UrlSource(server.url), UrlSource("http://user:secret@127.0.0.1:1/net"))
        with pytest.raises(DownloadFailed) as caught:
            fetch_first([net, variant("big"), variant("gone")], models, mirror=str(mirror))
    told = str(caught.value)
    assert f"net from mirror {mirror}/net.tflite: not the expected file: sha256" in told
    assert f"big from mirror {mirror}/big.tflite: oversize" in told
    assert f"gone from mirror {mirror}/gone.tflite: No such file" in told
    assert f"net from {server.url}: not the expected file" in told
    assert "secret" not in told
    assert "http://***@127.0.0.1:1/net: " in told
    assert names(models) == []


def test_what_was_there_stays_when_the_new_file_is_wrong(models: Path, mirror: Path) -> None:
    models.mkdir(parents=True)
    (models / "net.tflite").write_bytes(b"old")
    (mirror / "net.tflite").write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadFailed, match="size is 7999, expected 8000"):
        fetch_first([variant()], models, mirror=str(mirror))
    assert (models / "net.tflite").read_bytes() == b"old"
    assert names(models) == ["net.tflite"]


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"\n<!DOCTYPE HTML><p>404", "HTML page"), (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer")],
)
def test_what_stands_in_for_a_file_is_told_even_if_nothing_is_known_of_it(
    models: Path, mirror: Path, body: bytes, told: str
) -> None:
    (mirror / "net.tflite").write_bytes(body)
    with pytest.raises(DownloadFailed, match=told):
        fetch_first([variant(sha256=None, size_bytes=None)], models, mirror=str(mirror))
    assert names(models) == []


def test_an_interrupt_leaves_nothing_behind(models: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.received_bytes:
            raise KeyboardInterrupt

    with WebServer(FileOnline(CONTENT)) as server, pytest.raises(KeyboardInterrupt):
        fetch_first([variant("net", CONTENT, UrlSource(server.url))], models, mirror=None, on_progress=interrupt)
    assert names(models) == []


def test_what_a_killed_process_left_is_overwritten(models: Path, mirror: Path) -> None:
    models.mkdir(parents=True)
    (models / ".net.tflite.part").write_bytes(b"half" * 10_000)
    (mirror / "net.tflite").write_bytes(CONTENT)
    fetch_first([variant()], models, mirror=str(mirror))
    assert (models / "net.tflite").read_bytes() == CONTENT
    assert names(models) == ["net.tflite"]


def test_two_processes_do_not_write_one_file(models: Path, mirror: Path) -> None:
    models.mkdir(parents=True)
    (mirror / "net.tflite").write_bytes(CONTENT)
    with (models / ".net.tflite.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DownloadFailed, match="another process is fetching"):
            fetch_first([variant()], models, mirror=str(mirror))
    assert names(models) == [".net.tflite.part"]


def test_many_at_once_end_with_one_whole_file(models: Path, mirror: Path) -> None:
    (mirror / "net.tflite").write_bytes(CONTENT)
    done: list[Fetched | DownloadFailed] = []

    def pull() -> None:
        for _ in range(20):
            try:
                done.append(fetch_first([variant()], models, mirror=str(mirror)))
            except DownloadFailed as error:
                done.append(error)

    threads = [threading.Thread(target=pull) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 80
    assert all("another process" in str(one) for one in done if isinstance(one, DownloadFailed))
    assert (models / "net.tflite").read_bytes() == CONTENT
    assert names(models) == ["net.tflite"]


def test_a_full_disk_leaves_nothing_behind(models: Path, mirror: Path) -> None:
    (mirror / "net.tflite").write_bytes(CONTENT)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(DownloadFailed, match=r"cannot write .*net\.tflite: File too large"):
            fetch_first([variant()], models, mirror=str(mirror))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(models) == []


def test_a_models_folder_that_cannot_be_made_is_said_so(tmp_path: Path, mirror: Path) -> None:
    (mirror / "net.tflite").write_bytes(CONTENT)
    (tmp_path / "file").touch()
    with pytest.raises(DownloadFailed, match="cannot write"):
        fetch_first([variant()], tmp_path / "file" / "models", mirror=str(mirror))
