"""A file is recognised by what is known of it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

from streamapp.zoo.spec import Digest
from tests.zoo.variants import CONTENT, variant


def test_a_digest_is_that_of_the_whole_content() -> None:
    content = bytes(3_000_000)
    assert Digest.of(io.BytesIO(content)) == Digest(
        3_000_000, hashlib.sha256(content).hexdigest(), hashlib.sha384(content).hexdigest()
    )


def test_every_known_property_must_match_and_unknown_ones_match_everything() -> None:
    right = Digest.of(io.BytesIO(CONTENT))
    assert variant().mismatch(right) is None
    assert variant().mismatch(replace(right, size_bytes=1)) == f"size is 1, expected {len(CONTENT)}"
    assert str(variant().mismatch(replace(right, sha256="0"))).startswith("sha256 is 0, expected ")
    by_sha384 = replace(variant(sha256=None), sha384=right.sha384)
    assert by_sha384.mismatch(right) is None
    assert str(by_sha384.mismatch(replace(right, sha384="0"))).startswith("sha384 is 0")
    assert variant(sha256=None, size_bytes=None).mismatch(Digest(0, "", "")) is None


def test_a_pin_counts_only_where_the_manifest_knows_nothing() -> None:
    assert variant().pinned({"net": "0"}).sha256 == variant().sha256
    assert variant(sha256=None).pinned({"net": "0"}).sha256 == "0"
    assert variant(sha256=None).pinned({}).sha256 is None
