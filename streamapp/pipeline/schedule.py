"""What a session did when, read from its results, so that it can be done again. Pure.

What is decided of a stream depends on which frames were screened, what was asked of the models at which of them, and at
which frame each answer was taken in. The results of a live session say all three.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from streamapp.errors import ModelError, UsageError
from streamapp.pipeline.answers import Answer
from streamapp.pipeline.keyframes import KeyframeRequest, Reason
from streamapp.results import Answered, DropReason, FrameResult, Keyframe, Step
from streamapp.scheduler.api import Dropped, Failed

_AS_RECORDED = "as in the session that is repeated"
_ERRORS = {error.code: error for error in ModelError.__subclasses__()}


class Schedule:
    """Frames are named by their index."""

    def __init__(self, results: Iterable[FrameResult]) -> None:
        """Raises UsageError for results of a version that had other reasons."""
        self._requests: dict[int, KeyframeRequest] = {}
        self._due: dict[int, tuple[Answered, ...]] = {}
        self._lost: dict[tuple[int, Step], Mapping[str, Dropped | Failed]] = {}
        for result in results:
            if result.keyframe is not None:
                self._requests[result.frame] = _request(result.keyframe)
            self._due[result.frame] = result.answers
            for answered in result.answers:
                self._lost[answered.frame, answered.step] = {
                    name: _ending(code) for name, code in answered.lost.items()
                }

    def request(self, frame: int, shots: Container[int]) -> KeyframeRequest | None:
        """What was asked at a frame. shots: the tracks of which there is one; where the results begin in the middle of
        a session, some are missing that there were."""
        request = self._requests.get(frame)
        if request is None:
            return None
        targets = tuple((track_id, reason) for track_id, reason in request.targets if track_id in shots)
        return KeyframeRequest(request.sweep, targets) if targets or request.sweep else None

    def due(self, frame: int, waiting: Sequence[Answer]) -> list[Answer]:
        """Those of the answers that were taken in at a frame, in that order."""
        by_step = {(answer.answered.frame, answer.answered.step): answer for answer in waiting}
        wanted = ((answered.frame, answered.step) for answered in self._due.get(frame, ()))
        return [by_step[step] for step in wanted if step in by_step]

    def lost(self, keyframe: int, step: Step) -> Mapping[str, Dropped | Failed]:
        """The operations that gave no answer, and how they ended."""
        return self._lost.get((keyframe, step), {})


def _request(keyframe: Keyframe) -> KeyframeRequest:
    try:
        sweep = None if keyframe.sweep is None else Reason(keyframe.sweep)
        return KeyframeRequest(sweep, tuple((target.track, Reason(target.reason)) for target in keyframe.targets))
    except ValueError as error:
        raise UsageError(f"the session cannot be repeated by this version of the app: {error}") from error


def _ending(code: str) -> Dropped | Failed:
    if code in set(DropReason):
        return Dropped(DropReason(code), _AS_RECORDED)
    return Failed(_ERRORS.get(code, ModelError)(_AS_RECORDED))
