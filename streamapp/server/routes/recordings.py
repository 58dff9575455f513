"""Recordings: listed, played, read and deleted. A recording is begun and ended at its stream."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response, status
from fastapi.responses import FileResponse, StreamingResponse

from streamapp.errors import Conflict, NotFound, UsageError
from streamapp.recording.entry import RecordingEntry
from streamapp.recording.sidecar import named_lines
from streamapp.runtime import Runtime
from streamapp.server.openapi import problem_responses, sends
from streamapp.server.replays import ReplayReport, Replays
from streamapp.server.schemas import RecordingList

_PAGE = 50
_MAX_PAGE = 500
_PRIVATE = {"Cache-Control": "private, no-cache"}
_NO_RECORDING = {404: {NotFound.code: "no recording has this id, or a file of it is gone"}}
_UNFINISHED = _NO_RECORDING | {409: {Conflict.code: "it is being written; end it first"}}
_NO_REPLAY = {404: {NotFound.code: "no recording has this id, or it was not replayed since the server started"}}
_NOT_REPLAYED = _NO_RECORDING | {
    409: {Conflict.code: "it is being written, or another one is being replayed"},
    UsageError.http_status: {UsageError.code: "it has no results, too many, or cannot be replayed"},
}


def recordings_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(prefix="/recordings", tags=["recordings"])
    recordings, replays = runtime.recordings, Replays(runtime)

    @router.get("")
    async def list_recordings(
        limit: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = _PAGE, offset: Annotated[int, Query(ge=0)] = 0
    ) -> RecordingList:
        """The recordings, newest first, also those being written."""
        entries = await recordings.entries()
        return RecordingList(
            recordings=entries[offset : offset + limit],
            total=len(entries),
            bytes=sum(entry.bytes for entry in entries),
        )

    @router.get("/{recording}", responses=problem_responses(_NO_RECORDING))
    async def show_recording(recording: str) -> RecordingEntry:
        """One recording."""
        return await recordings.entry(recording)

    @router.get(
        "/{recording}/video",
        response_class=FileResponse,
        responses=sends("video/mp4", "video/webm") | problem_responses(_UNFINISHED),
    )
    async def video(recording: str, part: Annotated[int, Query(ge=1)] = 1) -> FileResponse:
        """A video file, whole or by ranges (RFC 9110 section 14). Most recordings have one part."""
        path, media_type = await recordings.video(recording, part)
        name = f"{recording}-{part}{path.suffix}"
        return FileResponse(
            path, media_type=media_type, filename=name, content_disposition_type="inline", headers=_PRIVATE
        )

    @router.get(
        "/{recording}/results",
        response_class=StreamingResponse,
        responses=sends("application/x-ndjson") | problem_responses(_UNFINISHED),
    )
    async def results(recording: str) -> StreamingResponse:
        """The results as JSON Lines: a header, then one FrameResult per picture that was analysed. Names are those the
        gallery has now."""
        path = await recordings.results(recording)
        headers = {"Content-Disposition": f'attachment; filename="{recording}.jsonl"', **_PRIVATE}
        lines = named_lines(path, runtime.models.name_of)
        return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)

    @router.delete("/{recording}", status_code=status.HTTP_204_NO_CONTENT, responses=problem_responses(_UNFINISHED))
    async def delete_recording(recording: str) -> None:
        """Removes a recording, all its files. One that is being written has to be ended first."""
        await recordings.delete(recording)
        replays.forget(recording)

    @router.post(
        "/{recording}/replay", status_code=status.HTTP_202_ACCEPTED, responses=problem_responses(_NOT_REPLAYED)
    )
    async def start_replay(recording: str, response: Response) -> ReplayReport:
        """Decides a recording again, with the models, settings and gallery of today, and compares. One at a time, and
        only with the time that the streams leave."""
        report = await replays.begin(recording)
        response.headers["Location"] = f"/recordings/{recording}/replay"
        return report

    @router.get("/{recording}/replay", responses=problem_responses(_NO_REPLAY))
    async def show_replay(recording: str, response: Response) -> ReplayReport:
        """How far the replay of a recording is, and what it found. The last ones are known, until the next start."""
        response.headers.update(_PRIVATE)
        return await replays.report(recording)

    @router.delete("/{recording}/replay", status_code=status.HTTP_204_NO_CONTENT)
    async def stop_replay(recording: str) -> None:
        """Ends a replay that is at work, and forgets what it found."""
        replays.forget(recording)

    return router
