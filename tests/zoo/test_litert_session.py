"""LiteRT as a session: right in batches and from several threads, and clear about what it does not take."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from streamapp.errors import ModelError, ModelInputInvalid, ModelInvalid
from streamapp.faces import Floats
from streamapp.zoo.litert_session import PROVIDER, LiteRtSession
from tests.weights import FULL_RANGE, SHORT_RANGE, weights_of

pytestmark = pytest.mark.weights


@pytest.fixture
def session() -> Iterator[LiteRtSession]:
    variant, path = weights_of(*SHORT_RANGE)
    opened = LiteRtSession(variant.name, path.read_bytes())
    yield opened
    opened.close()


def noise(count: int, side: int = 128) -> Floats:
    return np.random.default_rng(0).uniform(-1, 1, (count, side, side, 3)).astype(np.float32)


def test_it_says_what_it_is(session: LiteRtSession) -> None:
    assert session.variant in SHORT_RANGE
    assert session.providers == (PROVIDER,)
    assert session.input.shape == (1, 128, 128, 3)
    assert sorted(output.shape for output in session.outputs) == [(None, 896, 1), (None, 896, 16)]


def test_outputs_are_in_the_order_of_their_names(session: LiteRtSession) -> None:
    names = [output.name for output in session.outputs]
    assert names == sorted(names)
    for found, told in zip(session.run(noise(2)), session.outputs, strict=True):
        assert told.takes(found.shape)


def test_a_batch_gives_what_its_items_give_alone(session: LiteRtSession) -> None:
    batch = noise(3)
    together = session.run(batch)
    for index in range(3):
        for whole, alone in zip(together, session.run(batch[index : index + 1]), strict=True):
            assert np.array_equal(whole[index], alone[0])


def test_an_answer_is_not_overwritten_by_the_next(session: LiteRtSession) -> None:
    batch = noise(2)
    first = session.run(batch[:1])
    kept = [output.copy() for output in first]
    session.run(batch[1:])
    assert all(np.array_equal(a, b) for a, b in zip(first, kept, strict=True))


def test_several_threads_take_turns(session: LiteRtSession) -> None:
    batch = noise(4)
    alone = [session.run(batch[i : i + 1])[0] for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda i: session.run(batch[i % 4 : i % 4 + 1])[0], range(40)))
    assert all(np.array_equal(answer, alone[i % 4]) for i, answer in enumerate(answers))


@pytest.mark.parametrize("shape", [(0, 128, 128, 3), (1, 64, 64, 3), (1, 3, 128, 128), (128, 128, 3)])
def test_another_shape_is_refused_and_the_session_lives_on(session: LiteRtSession, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelInputInvalid, match="takes"):
        session.run(np.zeros(shape, np.float32))
    assert len(session.run(noise(1))) == 2


def test_another_type_is_a_model_error(session: LiteRtSession) -> None:
    with pytest.raises(ModelError):
        session.run(noise(1).astype(np.float64))


def test_closed_is_closed_and_closing_again_does_nothing(session: LiteRtSession) -> None:
    session.close()
    session.close()
    with pytest.raises(ModelError, match="closed"):
        session.run(noise(1))


@pytest.mark.parametrize("content", [b"", b"no model", b"\x1c\0\0\0TFL3" + b"\0" * 64])
def test_weights_that_are_none_are_refused(content: bytes) -> None:
    with pytest.raises(ModelInvalid, match="made-up"):
        LiteRtSession("made-up", content)


def test_both_ranges_load() -> None:
    variant, path = weights_of(*FULL_RANGE)
    opened = LiteRtSession(variant.name, path.read_bytes())
    assert opened.input.shape == (1, 192, 192, 3)
    opened.close()
