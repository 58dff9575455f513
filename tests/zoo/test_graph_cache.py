"""Kept graphs are used only by the machine, runtime and weights they were made for, and only while unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.zoo import graph_cache
from streamapp.zoo.graph_cache import GraphCache

KEY = GraphCache.key(b"weights")


def keep(folder: Path, content: bytes = b"optimised", version: str = "1.32") -> None:
    with GraphCache(folder, version).new(KEY) as path:
        assert path is not None
        path.write_bytes(content)


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    keep(tmp_path / "cache")
    kept = GraphCache(tmp_path / "cache", "1.32").find(KEY)
    assert kept is not None
    assert kept.read_bytes() == b"optimised"


def test_weights_are_known_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"weights")
    assert GraphCache.key(tmp_path / "net.onnx") == KEY != GraphCache.key(b"others")


def test_other_weights_runtimes_and_processors_find_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path)
    assert GraphCache(tmp_path, "1.33").find(KEY) is None
    assert GraphCache(tmp_path, "1.32").find(GraphCache.key(b"others")) is None
    monkeypatch.setattr(graph_cache, "processor", lambda: "another")
    assert GraphCache(tmp_path, "1.32").find(KEY) is None


def test_a_changed_graph_is_not_used_and_is_removed(tmp_path: Path) -> None:
    keep(tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(b"tampered")
    assert GraphCache(tmp_path, "1.32").find(KEY) is None
    assert not kept.exists()


def test_a_failed_load_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with GraphCache(tmp_path, "1.32").new(KEY) as path:
            assert path is not None
            path.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_only_costs_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with GraphCache(tmp_path / "file", "1.32").new(KEY) as path:
        assert path is None
