"""Real peers publishing and watching, over loopback."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiortc.mediastreams import AudioStreamTrack

from streamapp.results import FrameResult
from streamapp.sections import WebRtcSettings
from streamapp.server.peers import PeerKind
from tests.server.conftest import FACE, StartBench
from tests.waiting import until
from tests.webrtc_peers import NumberedTrack, WebPeer, read_number


async def matched(viewer: WebPeer, count: int) -> list[tuple[int, int | None]]:
    """Frame numbers of results, with the number in the picture that has the same RTP timestamp."""

    def pairs() -> list[tuple[int, int | None]]:
        shown = viewer.pictures_by_timestamp
        return [
            (result["frame"], shown[result["rtp_timestamp"]])
            for result in list(viewer.results)
            if result["rtp_timestamp"] in shown
        ]

    await until(lambda: len(pairs()) >= count, 15)
    return pairs()


# -- WHIP --------------------------------------------------------------------------------------------------------------


async def test_a_publisher_gets_a_result_for_every_picture(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer, track = bench.publisher("?mode=fast"), NumberedTrack()
        peer.open_channel()
        peer.send_video(track)
        await peer.connect()
        await until(lambda: len(peer.results) >= 60, 15)
        (session,) = bench.runtime.streams.values()
        assert session.name.startswith("webrtc-")
        assert session.latest is not None
        assert read_number(session.latest.frame.video) is not None
        results = list(peer.results)
        frames = [result["frame"] for result in results]
        assert frames == sorted(set(frames))
        assert len(frames) > 0.9 * (frames[-1] - frames[0])
        del results[-1]["rtp_timestamp"]
        result = FrameResult.from_json(json.dumps(results[-1]))
        assert result.stream == session.name
        assert result.tracks[0].box == FACE
        assert (await peer.delete()).status_code == 200
        assert not bench.runtime.streams
        assert bench.signalling.publishers == 0
        await peer.close()


async def test_results_say_when_the_picture_was_taken(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer, track = bench.publisher(), NumberedTrack()
        peer.open_channel()
        peer.send_video(track)
        await peer.connect()
        await until(lambda: bench.runtime.streams and peer.results, 15)
        (session,) = bench.runtime.streams.values()
        errors: list[float] = []

        def look() -> bool:
            latest = session.latest
            if latest is not None and latest.frame.rtp_timestamp is not None:
                number = read_number(latest.frame.video)
                if number is not None:
                    errors.append(abs(latest.frame.captured_at - track.sent_at[number]))
            return len(peer.results) >= 75

        await until(look, 15)
        assert sorted(errors)[len(errors) // 2] < 0.1
        await peer.close()


@pytest.mark.parametrize("codec", ["video/VP8", "video/H264"])
async def test_a_publisher_that_takes_video_gets_the_overlay_back(start_bench: StartBench, codec: str) -> None:
    async with start_bench() as bench:
        peer = bench.publisher()
        peer.open_channel()
        peer.send_video(NumberedTrack(), "sendrecv")
        peer.only(codec)
        await peer.connect()
        await until(lambda: len(peer.numbers) >= 30, 15)
        assert peer.results
        assert peer.last_picture is not None
        red_difference = peer.last_picture.to_ndarray(format="yuv444p")[2].astype(int) - 128
        x1, y1, x2, _ = (int(edge) for edge in FACE)
        assert abs(red_difference[y1, x1:x2]).mean() > 5, "no coloured edge where the face is"
        assert abs(red_difference[y1 + 30 : y1 + 90, x1 + 30 : x2 - 30]).mean() < 2, "the pictures sent are grey"
        await peer.close()


async def test_without_asking_for_video_none_is_sent_and_none_coded(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer = bench.publisher()
        peer.open_channel()
        peer.send_video(NumberedTrack(), "sendonly")
        await peer.connect()
        await until(lambda: len(peer.results) >= 10, 15)
        assert "a=recvonly" in peer.answer
        (session,) = bench.runtime.streams.values()
        assert [type(sink.sink).__name__ for sink in session.sinks] == ["ResultsChannel"]
        await peer.close()


async def test_audio_is_accepted_and_thrown_away(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer = bench.publisher()
        peer.open_channel()
        peer.pc.addTransceiver(AudioStreamTrack(), "sendonly")
        peer.send_video(NumberedTrack())
        await peer.connect()
        await until(lambda: len(peer.results) >= 20, 15)
        ((_, server_peer),) = bench.signalling._peers.items()
        audio = next(t for t in server_peer.pc.getTransceivers() if t.kind == "audio")
        assert vars(audio.receiver.track)["_queue"].empty()
        await peer.close()


async def test_a_peer_without_a_data_channel_publishes_all_the_same(start_bench: StartBench) -> None:
    """OBS and GStreamer open none."""
    async with start_bench() as bench:
        peer = bench.publisher()
        peer.send_video(NumberedTrack())
        await peer.connect()
        await until(lambda: any(session.frames >= 20 for session in bench.runtime.streams.values()), 15)
        await peer.close()


async def test_a_peer_that_says_goodbye_is_gone_at_once(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        peer = bench.publisher()
        peer.send_video(NumberedTrack())
        await peer.connect()
        await until(lambda: any(session.frames for session in bench.runtime.streams.values()), 15)
        await peer.close()
        await until(lambda: bench.signalling.publishers == 0 and not bench.runtime.streams, 5)


# -- WHEP --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["video/H264", "video/VP8"])
async def test_a_viewers_results_belong_to_the_pictures_with_their_rtp_timestamp(
    start_bench: StartBench, codec: str
) -> None:
    async with start_bench() as bench:
        bench.add_numbered()
        viewer = bench.viewer()
        viewer.open_channel()
        viewer.take_video()
        viewer.only(codec)
        await viewer.connect()
        pairs = await matched(viewer, 40)
        assert all(frame == number for frame, number in pairs)
        unknown = sum(result["rtp_timestamp"] is None for result in viewer.results)
        assert unknown < 20, "known from the second picture on"
        await viewer.close()


async def test_the_sources_own_h264_is_passed_on_without_coding(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        session = bench.add_numbered(codec="h264", gop=15)
        viewer = bench.viewer()
        viewer.open_channel()
        viewer.take_video()
        await viewer.connect()
        await until(lambda: len(viewer.numbers) >= 5, 15)
        await until(lambda: [type(s.sink).__name__ for s in session.sinks] == ["ResultsChannel"], 15)
        seen = len(viewer.numbers)
        await until(lambda: len(viewer.numbers) >= seen + 30, 15)
        assert len(bench.signalling._feeds) == 0
        assert None not in viewer.numbers, "the change-over broke a picture"
        numbers = [number for number in viewer.numbers if number is not None]
        assert numbers == sorted(set(numbers))
        pairs = await matched(viewer, 30)
        assert all(frame == number for frame, number in pairs)
        await viewer.close()
        await until(lambda: not session.wants_encoded, 5)


async def test_a_viewer_of_forwarded_pictures_gets_an_iframe_when_it_asks(start_bench: StartBench) -> None:
    """The source cannot be asked, so the encoder helps out."""
    async with start_bench() as bench:
        bench.add_numbered(codec="h264", gop=60)
        viewer = bench.viewer()
        viewer.take_video()
        await viewer.connect()
        await until(lambda: viewer.numbers and len(bench.signalling._feeds) == 0, 15)
        (server_peer,) = bench.signalling._peers.values()
        (sender,) = server_peer.pc.getSenders()
        sender._send_keyframe()
        await until(lambda: len(bench.signalling._feeds) == 1, 5)
        await until(lambda: len(bench.signalling._feeds) == 0, 5)
        assert None not in viewer.numbers
        await viewer.close()


async def test_viewers_of_the_same_codec_share_one_encoder(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        session = bench.add_numbered()
        viewers = [bench.viewer() for _ in range(3)]
        for viewer, codec in zip(viewers, ["video/VP8", "video/VP8", "video/H264"], strict=True):
            viewer.take_video()
            viewer.only(codec)
            await viewer.connect()
        await until(lambda: all(len(viewer.numbers) >= 15 for viewer in viewers), 15)
        assert len(bench.signalling._feeds) == 2
        assert sum(type(sink.sink).__name__ == "SharedEncoder" for sink in session.sinks) == 2
        assert all(None not in viewer.numbers for viewer in viewers), "a joining viewer saw half a picture"
        await viewers[0].delete()
        await viewers[0].close()
        seen = len(viewers[1].numbers)
        await until(lambda: len(viewers[1].numbers) >= seen + 10, 15)
        for viewer in viewers[1:]:
            await viewer.delete()
            await viewer.close()
        assert len(bench.signalling._feeds) == 0
        await until(lambda: not session.sinks, 5)


async def test_a_published_stream_can_be_watched(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        publisher = bench.publisher()
        publisher.send_video(NumberedTrack())
        await publisher.connect()
        await until(lambda: any(session.frames for session in bench.runtime.streams.values()), 15)
        (name,) = bench.runtime.streams
        viewer = bench.viewer(name)
        viewer.open_channel()
        viewer.take_video()
        await viewer.connect()
        await until(lambda: len(viewer.numbers) >= 15 and len(viewer.results) >= 15, 15)
        assert None not in viewer.numbers
        await publisher.close()
        await until(lambda: bench.signalling.viewers == 0, 5)
        await viewer.close()


async def test_viewers_go_with_their_stream(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        bench.add_numbered()
        viewer = bench.viewer()
        viewer.take_video()
        await viewer.connect()
        await until(lambda: viewer.numbers, 15)
        await bench.runtime.close_stream("door")
        await until(lambda: bench.signalling.viewers == 0, 5)
        await viewer.close()


# -- places ------------------------------------------------------------------------------------------------------------


async def test_no_more_publishers_than_there_are_places(start_bench: StartBench) -> None:
    async with start_bench(webrtc=WebRtcSettings(max_sessions=2)) as bench:
        peers = [bench.publisher() for _ in range(6)]
        for peer in peers:
            peer.send_video(NumberedTrack())
        offers = [await peer.offer() for peer in peers]
        responses = await asyncio.gather(*(peer.post(sdp) for peer, sdp in zip(peers, offers, strict=True)))
        assert sorted(response.status_code for response in responses) == [201, 201, 503, 503, 503, 503]
        refused = next(response for response in responses if response.status_code == 503)
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["code"] == "overloaded"
        taken = next(response for response in responses if response.status_code == 201)
        await bench.http.delete(taken.headers["location"])
        assert (await peers[5].post(offers[5])).status_code == 201
        for peer in peers:
            await peer.close()


async def test_a_burst_of_offers_is_answered_and_everybody_else_too(start_bench: StartBench) -> None:
    async with start_bench(webrtc=WebRtcSettings(max_sessions=3)) as bench:
        peer = bench.publisher()
        peer.send_video(NumberedTrack())
        offer = await peer.offer()
        offers = [asyncio.ensure_future(peer.post(offer)) for _ in range(50)]
        asked = 0
        while not all(sent.done() for sent in offers):
            assert (await bench.http.get("/health")).status_code == 200
            asked += 1
        statuses = [sent.result().status_code for sent in offers]
        assert sorted(set(statuses)) == [201, 503]
        assert bench.signalling.publishers == statuses.count(201) == 3
        assert asked > 0
        await peer.close()


async def test_viewers_have_places_of_their_own(start_bench: StartBench) -> None:
    async with start_bench(webrtc=WebRtcSettings(max_sessions=1, max_viewers=1)) as bench:
        bench.add_numbered()
        viewers = [bench.viewer(), bench.viewer()]
        for viewer in viewers:
            viewer.take_video()
        statuses = [(await viewer.post(await viewer.offer())).status_code for viewer in viewers]
        assert statuses == [201, 503]
        publisher = bench.publisher()
        publisher.send_video(NumberedTrack())
        assert (await publisher.post(await publisher.offer())).status_code == 201
        assert (bench.signalling._count(PeerKind.PUBLISHER), bench.signalling._count(PeerKind.VIEWER)) == (1, 1)
        for peer in (*viewers, publisher):
            await peer.close()


async def test_a_server_that_stops_ends_its_connections(start_bench: StartBench) -> None:
    async with start_bench() as bench:
        bench.add_numbered()
        viewer, publisher = bench.viewer(), bench.publisher()
        viewer.take_video()
        publisher.send_video(NumberedTrack())
        await viewer.connect()
        await publisher.connect()
        bench.signalling.close()
        await until(lambda: bench.signalling.viewers == bench.signalling.publishers == 0, 5)
        late = bench.publisher()
        late.send_video(NumberedTrack())
        assert (await late.post(await late.offer())).status_code == 503
        for peer in (viewer, publisher, late):
            await peer.close()
