"""A clip is analysed to its last frame, as a stream like any other, and leaves nothing behind when it is cut off."""

from __future__ import annotations

import io
import json

import av
import pytest

from streamapp.assets import asset
from streamapp.demo import library
from streamapp.demo.clips import STREAM_PREFIX, ClipOutcome, ClipProgress, analyse
from streamapp.demo.shelf import Item, Kind
from streamapp.errors import ClipInvalid, ModelMissing
from streamapp.faces import Mode
from streamapp.sections import DemoSettings
from tests.demo.conftest import Bench, StartBench


@pytest.fixture(autouse=True)
def gradio_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "is_installed", lambda: True)


def hand_in(bench: Bench, content: bytes) -> Item:
    path = bench.demo.shelf.place(Kind.CLIP)
    path.write_bytes(content)
    return bench.demo.shelf.put(Kind.CLIP, path)


def demo_clip() -> bytes:
    return asset("recordings/demo.mp4").read_bytes()


def remuxed(content: bytes, **options: str) -> bytes:
    """The same pictures in another MP4."""
    made = io.BytesIO()
    with av.open(io.BytesIO(content), "r") as source, av.open(made, "w", format="mp4", options=options) as sink:
        (video,) = source.streams.video
        copy = sink.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is not None:
                packet.stream = copy
                sink.mux(packet)
    return made.getvalue()


async def outcome_of(bench: Bench, clip: Item) -> ClipOutcome:
    steps = [step async for step in analyse(bench.runtime, bench.demo.shelf, clip, Mode.FAST)]
    assert isinstance(steps[-1], ClipOutcome)
    assert all(isinstance(step, ClipProgress) and 0 <= (step.done or 0) <= 1.1 for step in steps[:-1])
    return steps[-1]


async def test_every_frame_is_analysed_and_shown(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        outcome = await outcome_of(bench, hand_in(bench, demo_clip()))
        assert (outcome.frames, outcome.was_cut, outcome.most_at_once) == (435, False, 1)
        lines = outcome.results.path.read_text().splitlines()
        assert [json.loads(line)["frame"] for line in lines] == list(range(435))
        with av.open(str(outcome.video.path)) as video:
            assert sum(1 for _ in video.decode(video=0)) == 435
        assert bench.runtime.streams == {}


async def test_of_a_long_clip_the_beginning_counts(start_bench: StartBench) -> None:
    async with start_bench(demo=DemoSettings(max_clip_s=2)) as bench:
        outcome = await outcome_of(bench, hand_in(bench, demo_clip()))
        assert outcome.was_cut
        assert 60 <= outcome.frames < 80


async def test_who_goes_away_leaves_nothing_behind(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        clip = hand_in(bench, demo_clip())
        steps = analyse(bench.runtime, bench.demo.shelf, clip, Mode.FAST)
        await anext(steps)
        assert [name.startswith(STREAM_PREFIX) for name in bench.runtime.streams] == [True]
        await steps.aclose()  # type: ignore[attr-defined]  # an async generator, as an iterator
        assert bench.runtime.streams == {}
        assert [path.name for path in bench.demo.shelf.folder.iterdir()] == [clip.path.name]


@pytest.mark.parametrize(
    "content", [b"not a video", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n"]
)
async def test_what_is_no_video_is_refused_without_naming_a_path(start_bench: StartBench, content: bytes) -> None:
    async with start_bench() as bench:
        with pytest.raises(ClipInvalid) as raised:
            await outcome_of(bench, hand_in(bench, content))
        assert str(bench.demo.shelf.folder) not in str(raised.value)
        assert bench.runtime.streams == {}


async def test_a_clip_that_breaks_off_is_shown_as_far_as_it_goes(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        fragmented = remuxed(demo_clip(), movflags="empty_moov+frag_keyframe+default_base_moof")
        outcome = await outcome_of(bench, hand_in(bench, fragmented[: len(fragmented) // 2]))
        assert 100 < outcome.frames < 435


async def test_a_mode_without_its_models_says_what_is_missing(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        clip = hand_in(bench, demo_clip())
        with pytest.raises(ModelMissing, match="models pull"):
            [step async for step in analyse(bench.runtime, bench.demo.shelf, clip, Mode.STANDARD)]
        assert bench.runtime.streams == {}
        assert [path.name for path in bench.demo.shelf.folder.iterdir()] == [clip.path.name]
