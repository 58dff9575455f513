"""What crosses between processes arrives as it was: jobs of every operation, every outcome, every error of a model."""

from __future__ import annotations

import asyncio
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

import streamapp.errors
from streamapp.errors import ModelError, StreamappError
from streamapp.hosting.messages import MAX_BYTES, Cancel, Ended, packed, pickled_job, receive, unpickled_job
from streamapp.results import DropReason
from streamapp.scheduler.api import Done, Dropped, Failed, ModelRun
from tests.hosting.asking import job
from tests.pipeline.lineups import lineup

MODEL_ERRORS = [
    kind
    for kind in vars(streamapp.errors).values()
    if isinstance(kind, type) and issubclass(kind, StreamappError) and issubclass(kind, ModelError)
]


async def received(data: bytes) -> object:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await receive(reader)


async def test_messages_arrive_as_they_were() -> None:
    assert await received(packed(Cancel(7))) == Cancel(7)
    outcome = Done((1.0,), (ModelRun("m", "CPUExecutionProvider"),), 0.1, 0.2)
    ended = await received(packed(Ended(3, outcome)))
    assert isinstance(ended, Ended)
    assert isinstance(ended.outcome, Done)
    assert (ended.outcome.values, ended.outcome.models) == (outcome.values, outcome.models)
    dropped = Dropped(DropReason.NO_MEMORY, "no room")
    assert await received(packed(Ended(3, dropped))) == Ended(3, dropped)


@pytest.mark.parametrize("kind", MODEL_ERRORS, ids=lambda kind: kind.__name__)
async def test_errors_arrive_as_they_were(kind: type[ModelError]) -> None:
    ended = await received(packed(Ended(3, Failed(kind("what to do about it")))))
    assert isinstance(ended, Ended)
    assert isinstance(ended.outcome, Failed)
    assert type(ended.outcome.error) is kind
    assert str(ended.outcome.error) == "what to do about it"


@pytest.mark.parametrize(
    "data", [b"", b"\1", packed(Cancel(7))[:-1], struct.pack("=I", MAX_BYTES + 1) + b"x"], ids=["", "1", "cut", "long"]
)
async def test_the_end_is_told_from_a_message(data: bytes) -> None:
    with pytest.raises(EOFError):
        await received(data)


def test_pixels_cross_beside_the_job_and_are_not_copied_there() -> None:
    sent = job(1, 2)
    body, buffers = pickled_job(sent)
    assert len(body) < 2048
    assert [buffer.nbytes for buffer in buffers] == [112 * 112 * 3] * 2
    there = unpickled_job(body, buffers)
    assert all(np.shares_memory(a.pixels, b.pixels) for a, b in zip(sent.items, there.items, strict=True))
    assert there.operation == sent.operation
    assert (there.owner, there.priority, there.deadline_s) == (sent.owner, sent.priority, sent.deadline_s)


def test_every_operation_of_the_full_profile_can_be_sent(tmp_path: Path) -> None:
    full = lineup(tmp_path)
    analysts = (*full.recognisers, full.antispoofer, full.gender_age, full.deepfake)
    operations: list[object] = [full.screener, full.detector, full.cascade, full.refinement]
    operations += [analyst.operation for analyst in analysts if analyst is not None]
    assert None not in operations
    assert len(operations) == 10
    for operation in operations:
        assert pickle.loads(pickle.dumps(operation)) == operation
