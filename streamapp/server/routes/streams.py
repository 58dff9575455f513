"""Streams of cameras and recordings: added, listed, read, removed."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response, status
from fastapi.responses import StreamingResponse

from streamapp.errors import Conflict, NotFound, Overloaded, RecordingFailed, SourceForbidden, SourceUrlInvalid
from streamapp.pipeline.session import StreamSession
from streamapp.recording.entry import RecordingEntry
from streamapp.results import FrameResult
from streamapp.runtime import Runtime
from streamapp.server import streaming
from streamapp.server.added_streams import AddedStreams
from streamapp.server.explanations import IdentityExplanation, TrackExplanation, named_models
from streamapp.server.openapi import problem_responses, sends
from streamapp.server.schemas import StreamInfo, StreamRequest
from streamapp.server.stream_schemas import StreamChange, StreamTrial, TrialRequest
from streamapp.sinks.overlay import OverlayPainter

_NO_STORE = {"Cache-Control": "no-store"}
_NO_STREAM = {404: {NotFound.code: "no stream has this name"}}
_ADDING_PROBLEMS = {
    400: {SourceUrlInvalid.code: "the source is not one that may be added; `detail` says what to write"},
    403: {SourceForbidden.code: "the camera is in none of sources.allowed_networks"},
    409: {Conflict.code: "a stream of that name exists"},
    503: {Overloaded.code: "as many streams as server.max_streams says exist"},
    507: {RecordingFailed.code: "with `record`: the disk is full; the stream was added all the same"},
}
_CHANGING_PROBLEMS = (
    _ADDING_PROBLEMS
    | _NO_STREAM
    | {
        409: {Conflict.code: "another stream has that name, or this one is a browser's camera"},
        503: {Overloaded.code: "as many streams as there may be exist"},
    }
)
_TRIAL_PROBLEMS = _NO_STREAM | {
    409: {Conflict.code: "`stream` is a browser's camera"},
    503: {Overloaded.code: "two connection tests are running"},
}
_RECORDING_PROBLEMS = _NO_STREAM | {
    409: {Conflict.code: "it is being recorded already"},
    507: {RecordingFailed.code: "the disk is full, or cannot be written"},
}


def streams_router(runtime: Runtime, streams: AddedStreams) -> APIRouter:
    router = APIRouter(prefix="/streams", tags=["streams"])

    def info(session: StreamSession) -> StreamInfo:
        return StreamInfo.of(session, runtime.recordings.of(session))

    @router.get("")
    async def list_streams() -> list[StreamInfo]:
        """Every stream of this server, publishing browsers included."""
        return [info(session) for session in runtime.streams.values()]

    @router.post("", status_code=status.HTTP_201_CREATED, responses=problem_responses(_ADDING_PROBLEMS))
    async def add_stream(wanted: StreamRequest, response: Response) -> StreamInfo:
        """Adds a stream and starts it. It is listed at once; its state says when it is live, or why not."""
        session = await streams.add(wanted)
        response.headers["Location"] = f"/streams/{session.name}"
        return info(session)

    @router.post("/test", responses=problem_responses(_TRIAL_PROBLEMS))
    async def try_source(wanted: TrialRequest) -> StreamTrial:
        """Tries a connection without adding a stream: what worked, step by step, and what did not. Two at a time; each
        takes up to about 20 seconds."""
        return StreamTrial.of(await streams.try_out(wanted))

    @router.get("/{name}", responses=problem_responses(_NO_STREAM))
    async def show_stream(name: str) -> StreamInfo:
        """One stream as it is now."""
        return info(runtime.stream(name))

    @router.patch("/{name}", responses=problem_responses(_CHANGING_PROBLEMS))
    async def change_stream(name: str, wanted: StreamChange) -> StreamInfo:
        """Changes a stream that was added; what is left out stays. With another name, source, mode or privacy it starts
        anew: its viewers connect again, its frames are counted from 0. In a shown address, *** may stay where the user
        name and password were, as long as scheme, host and port are the same."""
        return info(await streams.change(name, wanted))

    @router.delete("/{name}", status_code=status.HTTP_204_NO_CONTENT, responses=problem_responses(_NO_STREAM))
    async def remove_stream(name: str) -> None:
        """Ends a stream and forgets it."""
        await streams.remove(name)

    @router.post(
        "/{name}/keyframe",
        status_code=status.HTTP_202_ACCEPTED,
        responses=problem_responses(_NO_STREAM | {409: {Conflict.code: "mode fast has no keyframes"}}),
    )
    async def ask_for_keyframe(name: str) -> None:
        """Has the next frame examined, whatever is on it: a sweep, and in mode full every face anew."""
        escalator = runtime.stream(name).escalator
        if escalator is None:
            raise Conflict(f"stream {name} runs in mode fast, which has no keyframes; add it in a deeper mode")
        escalator.ask()

    @router.get(
        "/{name}/tracks",
        responses=problem_responses(_NO_STREAM | {503: {Overloaded.code: "no picture yet"}}),
    )
    async def show_tracks(name: str) -> FrameResult:
        """The newest result: every face there is now, and what is known of it."""
        latest = runtime.stream(name).latest
        if latest is None:
            raise Overloaded(f"stream {name} has no picture yet", retry_after_s=1)
        return latest.result

    @router.get(
        "/{name}/tracks/{track_id}/why",
        responses=problem_responses({404: {NotFound.code: "no such stream, or it does not show this track now"}}),
    )
    async def explain_track(name: str, track_id: int) -> TrackExplanation:
        """Everything the decisions about a face rest on: votes, scores of each model, thresholds, what was skipped."""
        session = runtime.stream(name)
        result = session.latest.result if session.latest else None
        track = next((track for track in result.tracks if track.id == track_id), None) if result else None
        if result is None or track is None:
            raise NotFound(f"stream {name} shows no track {track_id} now")
        identity = session.escalator.board.identity(track_id) if session.escalator else None
        name_of = runtime.models.name_of
        explained = None if identity is None else IdentityExplanation.of(identity.decision, name_of)
        licence_of = runtime.models.registry.manifest.licence_of
        return TrackExplanation(
            stream=name,
            frame=result.frame,
            track=track,
            identity=explained,
            not_said=dict(track.skipped),
            licences={model: licence_of(model) for model in named_models(track, explained)},
        )

    @router.post(
        "/{name}/recording", status_code=status.HTTP_201_CREATED, responses=problem_responses(_RECORDING_PROBLEMS)
    )
    async def start_recording(name: str, response: Response) -> RecordingEntry:
        """Begins to record the stream: its video, as the source sends it where that can be played, and the results."""
        entry = await streams.record(runtime.stream(name))
        response.headers["Location"] = f"/recordings/{entry.id}"
        return entry

    @router.delete(
        "/{name}/recording",
        responses=problem_responses({404: {NotFound.code: "no such stream, or it is not being recorded"}}),
    )
    async def stop_recording(name: str) -> RecordingEntry:
        """Ends the stream's recording; it can be played when this answers."""
        return await runtime.recordings.stop(runtime.stream(name))

    @router.get(
        "/{name}/events",
        response_class=StreamingResponse,
        responses=sends("text/event-stream") | problem_responses(_NO_STREAM),
    )
    async def stream_events(name: str) -> StreamingResponse:
        """Server-sent events: `result` for each frame, `status` for each change of state."""
        events = streaming.events(runtime.stream(name))
        return StreamingResponse(events, media_type="text/event-stream", headers=_NO_STORE)

    @router.get(
        "/{name}/snapshot.jpg",
        response_class=Response,
        responses=sends("image/jpeg")
        | {304: {"description": "It is still the picture that If-None-Match names"}}
        | problem_responses(_NO_STREAM | {503: {Overloaded.code: "the stream has no picture yet"}}),
    )
    async def snapshot(
        name: str,
        width: Annotated[int | None, Query(ge=64, le=1920, description="At most so wide, in pixels.")] = None,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """The newest picture with the overlay burnt in. 304 if it is the one that If-None-Match names."""
        latest = runtime.stream(name).latest
        if latest is None:
            raise Overloaded(f"stream {name} has no picture yet", retry_after_s=1)
        headers = _NO_STORE | {"ETag": streaming.etag(latest)}
        if if_none_match == headers["ETag"]:
            return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
        picture = await asyncio.to_thread(streaming.jpeg, latest, OverlayPainter(), width)
        return Response(picture, media_type="image/jpeg", headers=headers)

    @router.get(
        "/{name}/mjpeg",
        response_class=StreamingResponse,
        responses=sends("multipart/x-mixed-replace") | problem_responses(_NO_STREAM),
    )
    async def motion_jpeg(name: str) -> StreamingResponse:
        """Motion JPEG with the overlay burnt in, for where WebRTC cannot connect."""
        parts = streaming.motion_jpeg(runtime.stream(name))
        media_type = f"multipart/x-mixed-replace; boundary={streaming.BOUNDARY}"
        return StreamingResponse(parts, media_type=media_type, headers=_NO_STORE)

    return router
