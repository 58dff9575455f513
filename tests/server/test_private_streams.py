"""Private streams over HTTP and WebRTC: no way to look at one shows what is blurred, and no client can switch it off.

A face covers part of the number that is in each picture: who can read it sees the face.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from streamapp.errors import UsageError
from streamapp.gallery_settings import PrivacySettings
from streamapp.pipeline.session import StreamSession
from streamapp.recording.entry import RESULTS_FILE, RecordingEntry
from streamapp.recording.sidecar import read_header
from streamapp.replay.clip import open_clip
from streamapp.server import streaming
from tests.fakes import NumberedSource
from tests.recording.recorded import results_in
from tests.server.conftest import FACE, Bench, StartBench
from tests.waiting import until
from tests.webrtc_peers import NumberedTrack, read_number

ON = PrivacySettings(blur_unknown=True)


def numbered(monkeypatch: pytest.MonkeyPatch, codec: str | None = "h264") -> None:
    """Whatever is asked for, numbered pictures come."""
    source_at = "streamapp.server.added_streams.source_at"
    monkeypatch.setattr(source_at, lambda address, numbering, settings, loop: NumberedSource(numbering, codec=codec))


async def added(bench: Bench, **wanted: Any) -> StreamSession:
    answer = await bench.http.post("/streams", json={"name": "door", "source": "demo", **wanted})
    assert answer.status_code == 201, answer.text
    session = bench.runtime.stream("door")
    assert answer.json()["privacy"] is session.private
    await until(lambda: session.frames >= 5)
    return session


def shows_the_face(jpeg: bytes) -> bool:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    x1, y1, x2, y2 = (int(edge) for edge in FACE)
    face = picture[y1 + 24 : y2 - 24, x1 + 8 : x2 - 8].mean(axis=2)  # without the labels
    return float(np.abs(cv2.Laplacian(face, cv2.CV_64F)).max()) > 40  # the slope begins anew in it


@pytest.mark.parametrize(
    ("setting", "asked", "private"),
    [(False, None, False), (False, True, True), (True, None, True), (True, False, True)],
)
async def test_a_client_may_switch_it_on_and_never_off(
    start_bench: StartBench, monkeypatch: pytest.MonkeyPatch, setting: bool, asked: bool | None, private: bool
) -> None:
    numbered(monkeypatch)
    async with start_bench(privacy=PrivacySettings(blur_unknown=setting)) as bench:
        session = await added(bench, **({} if asked is None else {"privacy": asked}))
        assert session.private is private
        (listed,) = (await bench.http.get("/streams")).json()
        assert listed["privacy"] is private
        status = (await bench.http.get("/status")).json()
        assert status["privacy"] is setting
        assert status["streams"][0]["privacy"] is private
        snapshot = (await bench.http.get("/streams/door/snapshot.jpg")).content
        parts = streaming.motion_jpeg(session)
        motion = (await anext(parts)).partition(b"\r\n\r\n")[2]
        await parts.aclose()  # type: ignore[attr-defined]  # a generator
        assert [shows_the_face(jpeg) for jpeg in (snapshot, motion)] == [not private] * 2


async def test_a_stream_is_made_private_and_open_again_by_a_change(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        session = await added(bench)
        path = f"/streams/{session.name}"
        for wanted in (True, False):
            changed = await bench.http.patch(path, json={"privacy": wanted})
            assert (changed.status_code, changed.json()["privacy"]) == (200, wanted)
            assert bench.runtime.stream(session.name).private is wanted
        assert (await bench.http.patch(path, json={"mode": "fast"})).json()["privacy"] is False


@pytest.mark.parametrize("codec", ["video/H264", "video/VP8"])
async def test_viewers_get_no_picture_as_the_camera_coded_it(
    start_bench: StartBench, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    numbered(monkeypatch)
    async with start_bench() as bench:
        session = await added(bench, privacy=True)
        viewer = bench.viewer()
        viewer.take_video()
        viewer.only(codec)
        viewer.open_channel()
        await viewer.connect()
        await until(lambda: len(viewer.numbers) >= 40 and viewer.results, 15)
        assert set(viewer.numbers) == {None}
        assert not session.wants_encoded
        assert all(result["veiled"] for result in viewer.results)
        await viewer.close()


@pytest.mark.parametrize("private", [True, False])
async def test_a_publisher_is_told_what_to_blur_and_gets_it_back_blurred(
    start_bench: StartBench, private: bool
) -> None:
    async with start_bench() as bench:
        peer = bench.publisher(f"?privacy={str(private).lower()}")
        peer.send_video(NumberedTrack(), "sendrecv")
        peer.open_channel()
        await peer.connect()
        (session,) = bench.runtime.streams.values()
        assert session.private is private
        await until(lambda: len(peer.results) >= 30 and len(peer.numbers) >= 10, 15)
        x1, y1, x2, y2 = FACE
        for result in peer.results:
            if private:
                assert any(b[0] < x1 and b[1] < y1 and b[2] > x2 and b[3] > y2 for b in result["veiled"])
            else:
                assert result["veiled"] is None
        watching = bench.viewer(session.name)
        watching.take_video()
        await watching.connect()
        await until(lambda: len(watching.numbers) >= 10, 15)
        if private:
            assert set(watching.numbers) == {None}
        else:
            assert any(number is not None for number in watching.numbers)
        await watching.close()
        await peer.close()


async def test_the_servers_setting_holds_for_publishers(start_bench: StartBench) -> None:
    async with start_bench(privacy=ON) as bench:
        peer = bench.publisher("?privacy=false")
        peer.send_video(NumberedTrack())
        await peer.connect()
        (session,) = bench.runtime.streams.values()
        assert session.private
        await peer.close()


async def test_a_recording_is_of_what_viewers_see_and_says_that_it_cannot_be_replayed(
    start_bench: StartBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    numbered(monkeypatch)
    async with start_bench(recordings=tmp_path) as bench:
        session = await added(bench, privacy=True, record=True)
        await until(lambda: any(e.seconds >= 1.5 for e in bench.runtime.recordings.active.values()))
        entry = (await bench.http.delete("/streams/door/recording")).json()
        assert (entry["privacy"], [part["encoded"] for part in entry["parts"]]) == (True, [True])
        (listed,) = (await bench.http.get("/recordings")).json()["recordings"]
        assert listed["privacy"] is True
    folder = tmp_path / entry["id"]
    assert session.private
    assert RecordingEntry.load(folder).privacy
    assert read_header(folder / RESULTS_FILE).privacy
    assert len(results_in(folder)) > 10
    with av.open(str(folder / entry["parts"][0]["file"])) as video:
        assert {read_number(picture) for picture in video.decode(video=0)} == {None}
    with pytest.raises(UsageError, match="faces in it are blurred"):
        open_clip(folder)
