"""The slow path of one stream: at most one keyframe at a time is examined while frames go on.

It gets its own pixels of the frame, sweeps and analyses through the scheduler, and leaves what it found on the board
and as sightings, which the frame path picks up when it comes by.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from streamapp.faces import Detections, Detector, Mode, Track, TrackState
from streamapp.frame import Frame, Image, PixelReader
from streamapp.geometry import pairwise_iou
from streamapp.pipeline.board import ResultBoard
from streamapp.pipeline.examiner import Asker, Examination, Examiner
from streamapp.pipeline.keyframes import KeyframePolicy, KeyframeRequest
from streamapp.pipeline.merging import MIN_OVERLAP, SeenFace, merged
from streamapp.pipeline.stages import Screened
from streamapp.results import DropReason, Keyframe
from streamapp.scheduler.api import Dropped

DEADLINE_S = 2.0
"""A live face has moved on by then; what was not begun is dropped."""
LOSSLESS_DEADLINE_S = 600.0
"""Where every frame waits for its keyframes, nothing is late."""


@dataclass(frozen=True, slots=True)
class _Chosen:
    frame: Frame
    tracks: tuple[Track, ...]
    request: KeyframeRequest


class Escalator:
    """Used on the event loop's thread. `dropped`: the stream's live drop counter. lossless: keyframes are waited for,
    however long they take, so that what a frame shows depends on the frames alone."""

    def __init__(
        self,
        stream: str,
        mode: Mode,
        get_examiner: Callable[[], Examiner],
        dropped: Counter[DropReason],
        *,
        lossless: bool,
    ) -> None:
        self.board = ResultBoard()
        self.keyframes: Counter[str] = Counter()
        """Keyframes so far, by reason."""
        self._stream = stream
        self._mode = mode
        self._get_examiner = get_examiner
        self._dropped = dropped
        self._lossless = lossless
        self._policy = KeyframePolicy(mode)
        self._reader = PixelReader()
        self._chosen: _Chosen | None = None
        self._work, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._sightings: tuple[Detections, ...] = ()

    async def consider(self, frame: Frame, screened: Screened) -> Keyframe | None:
        """Looks at a frame that was screened; if it is chosen, it is examined from now on. Where nothing may be lost,
        returns when that is done."""
        keyframe = self._choose(frame, screened.tracks, screened.scene_changed)
        if keyframe is not None and self._lossless:
            await self._idle.wait()
        return keyframe

    def _choose(self, frame: Frame, tracks: tuple[Track, ...], scene_changed: bool) -> Keyframe | None:
        now_s = frame.pts_s
        self.board.keep({track.id for track in tracks}, now_s)
        request = self._policy.decide(
            tracks,
            now_s,
            is_idle=self._idle.is_set(),
            undecided=self.board.undecided,
            disputed=self.board.disputed,
            scene_changed=scene_changed,
        )
        if request is None:
            return None
        self._chosen = _Chosen(frame, tracks, request)
        self._idle.clear()
        self._work.set()
        reasons = tuple(reason.value for reason in request.reasons)
        self.keyframes.update(reasons)
        return Keyframe(reasons)

    def ask(self) -> None:
        """Makes the next frame a keyframe."""
        self._policy.ask()

    def take_sightings(self) -> tuple[Detections, ...]:
        """Faces that the last sweep saw and no track covered; each is given once."""
        taken, self._sightings = self._sightings, ()
        return taken

    async def run(self) -> None:
        """Examines what `consider` chooses, until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            chosen, self._chosen = self._chosen, None
            if chosen is None:
                continue
            start_s = time.monotonic()
            try:
                await self._examine(chosen)
            finally:
                cost_s = 0.0 if self._lossless else time.monotonic() - start_s
                self._policy.spent(cost_s, chosen.frame.pts_s + cost_s)
                self._idle.set()

    async def _examine(self, chosen: _Chosen) -> None:
        frame, request = chosen.frame, chosen.request
        examiner, examination = self._get_examiner(), Examination()
        deadline_s = time.monotonic() + (LOSSLESS_DEADLINE_S if self._lossless else DEADLINE_S)
        reason = ", ".join(request.reasons)
        asker = Asker(self._stream, request.priority, deadline_s, reason)
        rgb = await asyncio.to_thread(self._reader.rgb, frame)
        targets = {track_id for track_id, _ in request.targets}
        if request.sweep is not None:
            await examiner.find_faces(rgb, self._mode, asker, examination, screened=_as_detections(chosen.tracks))
        else:
            examination.faces = merged([_as_detections([track for track in chosen.tracks if track.id in targets])])
            await examiner.refine_faces(rgb, asker, examination)
        owners = _owners(examination.faces, chosen.tracks)
        for face, track in zip(examination.faces, owners, strict=True):
            if track is not None and face.landmarks is not None:
                self.board.refine(track, face.landmarks, at_s=frame.pts_s)
        if request.sweep is not None:
            self._note_sweep(examination, owners, chosen.tracks)
        await self._analyse(examiner, examination, owners, targets, rgb, asker, frame)
        for failure in examination.failures:
            if isinstance(failure, Dropped):
                self._dropped[failure.reason] += 1

    async def _analyse(
        self,
        examiner: Examiner,
        examination: Examination,
        owners: list[Track | None],
        targets: set[int],
        rgb: Image,
        asker: Asker,
        frame: Frame,
    ) -> None:
        wanted = [(face, track) for face, track in zip(examination.faces, owners, strict=True) if track is not None]
        wanted = [(face, track) for face, track in wanted if track.id in targets]
        if not wanted:
            return
        examination.faces = [face for face, _ in wanted]
        await examiner.analyse(rgb, asker, examination)
        for (_, track), findings in zip(wanted, examination.findings, strict=True):
            self.board.add(track.id, findings, frame=frame.index, at_s=frame.pts_s)

    def _note_sweep(self, examination: Examination, owners: list[Track | None], tracks: tuple[Track, ...]) -> None:
        pairs = list(zip(examination.faces, owners, strict=True))
        swept = {Detector.YOLO, Detector.MTCNN}
        self._sightings = tuple(_alone(face) for face, track in pairs if track is None and swept & set(face.seen_by))
        seen = {track.id for face, track in pairs if track is not None and swept & set(face.seen_by)}
        if not examination.failures:
            confirmed = {track.id for track in tracks if track.state is TrackState.CONFIRMED}
            self.board.dispute(seen, confirmed - seen)


def _alone(face: SeenFace) -> Detections:
    landmarks = None if face.landmarks is None else face.landmarks[None]
    return Detections(face.detector, face.box[None], np.array([face.score], np.float32), landmarks)


def _as_detections(tracks: Sequence[Track]) -> Detections:
    boxes = np.array([track.box for track in tracks], np.float32).reshape(-1, 4)
    return Detections(Detector.MEDIAPIPE, boxes, np.array([track.score for track in tracks], np.float32))


def _owners(faces: list[SeenFace], tracks: tuple[Track, ...]) -> list[Track | None]:
    """The track each face belongs to: the one it overlaps most, if that is enough; each track once."""
    if not faces or not tracks:
        return [None] * len(faces)
    overlaps = pairwise_iou(
        np.array([face.box for face in faces], np.float32), np.array([track.box for track in tracks], np.float32)
    )
    owners: list[Track | None] = [None] * len(faces)
    while overlaps.max() > MIN_OVERLAP:
        row, column = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
        owners[row] = tracks[column]
        overlaps[row], overlaps[:, column] = 0.0, 0.0
    return owners
