"""The slow path of one stream: at most one keyframe at a time is examined while frames go on.

It analyses the best recent shots of tracks and sweeps whole pictures through the scheduler. Answers wait until the
frame path comes by and takes them in between two frames, so that which of them a frame shows is part of its result.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from streamapp.faces import Detections, Detector, Mode, Track, TrackState
from streamapp.frame import Frame, PixelReader
from streamapp.geometry import pairwise_iou
from streamapp.pipeline.aggregate import Identification, Moment
from streamapp.pipeline.answers import Answer, Found, Refined
from streamapp.pipeline.board import ResultBoard
from streamapp.pipeline.examiner import Asker, Examination, Models
from streamapp.pipeline.identities import Look
from streamapp.pipeline.keyframes import KeyframePolicy, KeyframeRequest
from streamapp.pipeline.merging import MIN_OVERLAP, SeenFace
from streamapp.pipeline.schedule import Schedule
from streamapp.pipeline.shots import FaceShot
from streamapp.pipeline.stages import Screened
from streamapp.results import AnalysisKind, Answered, DropReason, Keyframe, Skipped, Step, Target
from streamapp.scheduler.api import Dropped
from streamapp.zoo.lineup import System

DEADLINE_S = 2.0
"""A live face has moved on by then; what was not begun is dropped."""
LOSSLESS_DEADLINE_S = 600.0
"""Where every frame waits for its keyframes, nothing is late."""


_KINDS = {
    System.RECOGNITION: AnalysisKind.IDENTITY.value,
    System.ANTISPOOF: AnalysisKind.LIVENESS.value,
    System.GENDER_AGE: AnalysisKind.GENDER_AGE.value,
    System.DEEPFAKE: AnalysisKind.DEEPFAKE.value,
}


@dataclass(frozen=True, slots=True)
class _Chosen:
    frame: Frame
    tracks: tuple[Track, ...]
    shots: Mapping[int, FaceShot]
    request: KeyframeRequest


class Escalator:
    """Used on the event loop's thread. lossless: keyframes are waited for, however long they take, so that what a frame
    shows depends on the frames alone. schedule: of a session to be repeated; it says, in place of the policy and the
    clock, what is asked when and when answers are taken in."""

    def __init__(
        self,
        stream: str,
        mode: Mode,
        models: Models,
        *,
        lossless: bool,
        schedule: Schedule | None = None,
    ) -> None:
        self.board = ResultBoard(models.vote_rules, models.name_of)
        self.keyframes: Counter[str] = Counter()
        """Keyframes so far, by reason."""
        self.jobs_dropped: Counter[DropReason] = Counter()
        self.shots: Mapping[int, FaceShot] = {}
        """The best recent shot of each track there is."""
        self._stream = stream
        self._mode = mode
        self._models = models
        self._waits = lossless or schedule is not None
        self._schedule = schedule
        self._policy = KeyframePolicy(mode)
        self._reader = PixelReader()
        self._chosen: _Chosen | None = None
        self._work, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._waiting: list[Answer] = []
        self._answered: list[Answered] = []
        self._sightings: list[Detections] = []

    def begin_frame(self, index: int) -> tuple[Detections, ...]:
        """Takes in the answers that came since the last frame. Gives the faces that sweeps saw and no track covered,
        each once."""
        self._answered = []
        self._take_in(index)
        taken, self._sightings = tuple(self._sightings), []
        return taken

    async def consider(self, frame: Frame, screened: Screened) -> Keyframe | None:
        """Looks at a frame that was screened; if it is chosen, it is examined from now on. Where that is waited for,
        returns when it is done, and its answers are taken in with this frame, unless they are scheduled for later."""
        self.shots = screened.shots
        self._decide(screened.tracks)
        keyframe = self._choose(frame, screened)
        if keyframe is not None and self._waits:
            await self._idle.wait()
            self._take_in(frame.index)
            self._decide(screened.tracks)
        return keyframe

    @property
    def answered(self) -> tuple[Answered, ...]:
        """The answers that were taken in since `begin_frame`."""
        return tuple(self._answered)

    def _decide(self, tracks: tuple[Track, ...]) -> None:
        self.board.decide(tracks, liveness_expected=self._models.examiner.lineup.antispoofer is not None)

    def _take_in(self, index: int) -> None:
        due = self._waiting if self._schedule is None else self._schedule.due(index, self._waiting)
        self._waiting = [answer for answer in self._waiting if answer not in due]
        for answer in due:
            self.board.take_in(answer)
            self._sightings.extend(answer.sightings)
            self._answered.append(answer.answered)

    def _choose(self, frame: Frame, screened: Screened) -> Keyframe | None:
        now_s, tracks = frame.pts_s, screened.tracks
        self.board.keep({track.id for track in tracks}, now_s)
        if self._schedule is not None:
            request = self._schedule.request(frame.index, screened.shots.keys())
        else:
            request = self._policy.decide(
                tracks,
                now_s,
                is_idle=self._idle.is_set(),
                undecided=self.board.undecided,
                unidentified=self.board.unidentified,
                disputed=self.board.disputed,
                scene_changed=screened.scene_changed,
                qualities={track_id: shot.worth(now_s) for track_id, shot in screened.shots.items()},
            )
        if request is None:
            return None
        self._chosen = _Chosen(frame, tracks, screened.shots, request)
        self._idle.clear()
        self._work.set()
        reasons = tuple(reason.value for reason in request.reasons)
        self.keyframes.update(reasons)
        targets = tuple(Target(track_id, reason.value) for track_id, reason in request.targets)
        return Keyframe(reasons, None if request.sweep is None else request.sweep.value, targets)

    def ask(self) -> None:
        """Makes the next frame a keyframe."""
        self._policy.ask()

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
                cost_s = 0.0 if self._waits else time.monotonic() - start_s
                self._policy.spent(cost_s, chosen.frame.pts_s + cost_s)
                self._idle.set()

    async def _examine(self, chosen: _Chosen) -> None:
        request = chosen.request
        deadline_s = time.monotonic() + (LOSSLESS_DEADLINE_S if self._waits else DEADLINE_S)
        asker = Asker(self._stream, request.priority, deadline_s, ", ".join(request.reasons))
        if request.targets:
            await self._analyse(chosen, self._losing(asker, chosen, Step.ANALYSIS))
        if request.sweep is not None:
            await self._sweep(chosen, self._losing(asker, chosen, Step.SWEEP))

    def _losing(self, asker: Asker, chosen: _Chosen, step: Step) -> Asker:
        """Asks for all but what gave no answer in the session that is repeated."""
        return asker if self._schedule is None else replace(asker, lost=self._schedule.lost(chosen.frame.index, step))

    async def _analyse(self, chosen: _Chosen, asker: Asker) -> None:
        """Shows the models the best recent shot of each track that was asked for."""
        reasons = dict(chosen.request.targets)
        shots = [chosen.shots[track_id] for track_id in reasons]
        pictures = [shot.pixels for shot in shots]
        examiner, examination = self._models.examiner, Examination()
        examination.faces = [_as_face(shot) for shot in shots]
        await examiner.refine(pictures, asker, examination)
        await examiner.analyse(pictures, asker, examination)
        found, refined = [], []
        for index, (shot, face, findings) in enumerate(
            zip(shots, examination.faces, examination.findings, strict=True)
        ):
            if face.landmarks is not None:
                refined.append(Refined(shot.track_id, shot.box, face.landmarks, shot.pts_s))
            at = Moment(shot.frame, shot.pts_s, reasons[shot.track_id], shot.quality)
            look = await self._look(shot, findings.identification)
            found.append(Found(shot.track_id, findings, _codes(examination.skipped, index), at, look))
        dropped = self._count_drops(examination)
        answers = (set[int](), set(reasons)) if dropped else (set(reasons), set[int]())
        answered = Answered(chosen.frame.index, Step.ANALYSIS, _lost(examination))
        self._waiting.append(Answer(answered, tuple(refined), tuple(found), answers))

    async def _look(self, shot: FaceShot, identification: Identification | None) -> Look | None:
        if identification is None:
            return None
        result = await self._models.search(identification.embeddings)
        return None if result is None else Look(shot.frame, shot.pts_s, shot.quality, result)

    async def _sweep(self, chosen: _Chosen, asker: Asker) -> None:
        """Looks for faces in the whole picture, and for the points of those that are known."""
        frame, tracks = chosen.frame, chosen.tracks
        examination = Examination()
        rgb = await asyncio.to_thread(self._reader.rgb, frame)
        screened = _as_detections(tracks)
        await self._models.examiner.find_faces(rgb, self._mode, asker, examination, screened)
        pairs = list(zip(examination.faces, _owners(examination.faces, tracks), strict=True))
        refined = tuple(
            Refined(track.id, track.box, face.landmarks, frame.pts_s)
            for face, track in pairs
            if track is not None and face.landmarks is not None
        )
        swept = {Detector.YOLO, Detector.MTCNN}
        sightings = tuple(_alone(face) for face, track in pairs if track is None and swept & set(face.seen_by))
        seen = {track.id for face, track in pairs if track is not None and swept & set(face.seen_by)}
        confirmed = {track.id for track in tracks if track.state is TrackState.CONFIRMED}
        dispute = None if examination.failures else (seen, confirmed - seen)
        answered = Answered(frame.index, Step.SWEEP, _lost(examination))
        self._waiting.append(Answer(answered, refined, sightings=sightings, dispute=dispute))
        self._count_drops(examination)

    def _count_drops(self, examination: Examination) -> int:
        dropped = [end.reason for end in examination.failures.values() if isinstance(end, Dropped)]
        self.jobs_dropped.update(dropped)
        return len(dropped)


def _as_face(shot: FaceShot) -> SeenFace:
    box = np.array(shot.box, np.float32)
    return SeenFace(box, shot.score, None, None, Detector.MEDIAPIPE, (Detector.MEDIAPIPE,))


def _codes(skipped: Sequence[Skipped], index: int) -> dict[str, str]:
    """What was left out of the analysis of one face, by what users would have seen, and the code of why; whichever
    model was first."""
    ours = [one for one in skipped if one.face is None or one.face == index]
    ours.sort(key=lambda one: (one.task, one.model or "", one.code))
    return {_KINDS.get(System(one.task), one.task): one.code for one in ours}


def _lost(examination: Examination) -> dict[str, str]:
    """What `Answered.lost` says, in no order of time."""
    return {
        name: end.reason.value if isinstance(end, Dropped) else end.error.code
        for name, end in sorted(examination.failures.items())
    }


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
