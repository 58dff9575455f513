"""The face of a live track, taken several times over a moment, so that it is seen to live and to be one person's."""

from __future__ import annotations

import asyncio
import time
from uuid import UUID

from streamapp.enrolment.appraisal import Appraisal, FaceReader, sample_of
from streamapp.errors import Conflict, NotFound
from streamapp.faces import Mode
from streamapp.gallery.gallery import Gallery
from streamapp.gallery.gate import COMPARABLE, GateRules
from streamapp.gallery.people import Person, Rejection
from streamapp.pipeline.session import StreamSession
from streamapp.pipeline.shots import FaceShot
from streamapp.results import TrackResult

SHOTS = 4
"""So many are taken at most."""
MIN_SHOTS = 2
TAKE_FOR_S = 3.0
_LOOK_EVERY_S = 0.1


async def appraised_track(
    reader: FaceReader, session: StreamSession, track_id: int, rules: GateRules, *, client: str
) -> list[Appraisal]:
    """Of the best shots of the next moment. Raises Conflict if the stream takes none or the face is not seen for long
    enough, NotFound if there is no such track, and what the reader does."""
    liveness = track_of(session, track_id).analyses.get("liveness")
    known = None if liveness is None else liveness.state
    shots = await _shots(session, track_id)
    return await reader.shots(shots, rules, owner=client, known=known)


async def rejected_track(
    reader: FaceReader,
    gallery: Gallery,
    session: StreamSession,
    track_id: int,
    person_id: UUID,
    *,
    actor: str,
    now: float,
) -> Person:
    """The face of a track is not that person: at once for the track, and kept with what it looks like. Raises NotFound,
    and what the reader and the gallery do."""
    await gallery.record(person_id)
    track_of(session, track_id)
    sample = None
    if session.escalator is not None:
        session.escalator.board.reject(track_id, person_id)
        shot = session.escalator.shots.get(track_id)
        if shot is not None:
            (appraisal,) = await reader.shots([shot], COMPARABLE, owner=session.name, known=None)
            sample = None if appraisal.good is None else sample_of(appraisal.good, now)
    return await gallery.reject(person_id, Rejection(session.name, track_id, now, sample), actor=actor)


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
