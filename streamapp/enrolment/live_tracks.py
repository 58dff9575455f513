"""The face of a live track, taken several times over a moment, so that it is seen to live and to be one person's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from streamapp.enrolment.appraisal import Appraisal, FaceReader, sample_of
from streamapp.errors import Conflict, NotFound
from streamapp.faces import Mode
from streamapp.gallery.gallery import Gallery
from streamapp.gallery.gate import COMPARABLE, GateRules
from streamapp.gallery.people import Person, Rejection
from streamapp.pipeline.session import StreamSession
from streamapp.pipeline.shots import FaceShot
from streamapp.results import LivenessState, TrackResult

SHOTS = 4
"""So many are taken at most."""
MIN_SHOTS = 2
TAKE_FOR_S = 3.0
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class TakenShots:
    """Of one track. known: what its stream says of its liveness; None if nothing yet."""

    shots: tuple[FaceShot, ...]
    known: LivenessState | None


class LiveTracks(Protocol):
    """The faces that streams show now, wherever the streams are."""

    async def shots(self, stream: str, track_id: int) -> TakenShots:
        """The best of the next moment. Raises Conflict if the stream takes none or the face is not seen for long
        enough, NotFound if there is no such stream or track."""

    async def reject(self, stream: str, track_id: int, person_id: UUID) -> FaceShot | None:
        """The face is not that person: at once. Its shot, if there is one. Raises NotFound."""


class SessionTracks:
    """Those of streams in this process. session_of: raises NotFound."""

    def __init__(self, session_of: Callable[[str], StreamSession]) -> None:
        self._session_of = session_of

    async def shots(self, stream: str, track_id: int) -> TakenShots:
        session = self._session_of(stream)
        liveness = track_of(session, track_id).analyses.get("liveness")
        known = None if liveness is None else liveness.state
        return TakenShots(tuple(await _shots(session, track_id)), known)

    async def reject(self, stream: str, track_id: int, person_id: UUID) -> FaceShot | None:
        session = self._session_of(stream)
        track_of(session, track_id)
        if session.escalator is None:
            return None
        session.escalator.board.reject(track_id, person_id)
        return session.escalator.shots.get(track_id)


async def appraised_track(
    reader: FaceReader, tracks: LiveTracks, stream: str, track_id: int, rules: GateRules, *, client: str
) -> list[Appraisal]:
    """Of the best shots of the next moment. Raises what `LiveTracks.shots` and the reader do."""
    taken = await tracks.shots(stream, track_id)
    return await reader.shots(list(taken.shots), rules, owner=client, known=taken.known)


async def rejected_track(
    reader: FaceReader,
    gallery: Gallery,
    tracks: LiveTracks,
    stream: str,
    track_id: int,
    person_id: UUID,
    *,
    actor: str,
    now: float,
) -> Person:
    """The face of a track is not that person: at once for the track, and kept with what it looks like. Raises NotFound,
    and what the reader and the gallery do."""
    await gallery.record(person_id)
    shot = await tracks.reject(stream, track_id, person_id)
    sample = None
    if shot is not None:
        (appraisal,) = await reader.shots([shot], COMPARABLE, owner=stream, known=None)
        sample = None if appraisal.good is None else sample_of(appraisal.good, now)
    return await gallery.reject(person_id, Rejection(stream, track_id, now, sample), actor=actor)


def track_of(session: StreamSession, track_id: int) -> TrackResult:
    """As in the newest result. Raises NotFound."""
    tracks = session.latest.result.tracks if session.latest else ()
    for track in tracks:
        if track.id == track_id:
            return track
    raise NotFound(f"there is no track {track_id} on stream {session.name} now")


async def _shots(session: StreamSession, track_id: int) -> list[FaceShot]:
    """Different ones, of the next TAKE_FOR_S seconds."""
    escalator = session.escalator
    if escalator is None or session.mode is not Mode.FULL:
        raise Conflict(f"stream {session.name} runs in mode {session.mode}; faces are taken from streams in mode full")
    taken: dict[int, FaceShot] = {}
    until_s = time.monotonic() + TAKE_FOR_S
    while len(taken) < SHOTS and time.monotonic() < until_s:
        shot = escalator.shots.get(track_id)
        if shot is not None:
            taken[shot.frame] = shot
        await asyncio.sleep(_LOOK_EVERY_S)
    if len(taken) < MIN_SHOTS:
        raise Conflict(f"track {track_id} was not seen for long enough; stay in the picture for a few seconds")
    return list(taken.values())
