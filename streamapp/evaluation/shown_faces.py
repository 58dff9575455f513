"""What is said of each face in each frame, by the app and by its newest crop alone, beside who it really is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamapp.evaluation.clips import LabelledClip
from streamapp.evaluation.crop_log import Crop, labels_of
from streamapp.evaluation.mot import matches
from streamapp.evaluation.tracking import BLOCK_S, durations_s
from streamapp.geometry import pairwise_iou
from streamapp.results import FrameResult, IdentityState, TrackResult

_TOUCHING_IOU = 0.1
"""A track that overlaps a labelled face by so much, and not enough to be on it, is not judged."""

Told = tuple[IdentityState, str | None]
"""A decision about who somebody is, with the name where there is one."""


@dataclass(frozen=True, slots=True)
class ShownFace:
    """One face in one frame."""

    clip: str
    face: str
    """Which one it is in the clip: the labelled person, or the track where nobody is labelled."""
    track: int | None
    """None for somebody whose face was not found."""
    truth: str | None
    """The name it should have; None for strangers and for what is no face."""
    is_there: bool
    """Whether it is labelled in this frame, or in a clip without boxes: not for a track that outlasts its face."""
    at_s: float
    lasts_s: float
    block: int
    """Frames of one block are alike."""
    told: Told | None
    """What the app says; None while it says nothing."""
    labels: Mapping[str, str]
    crops: Mapping[str, Crop]
    """The newest of its track by then, by the way in which they are taken."""


def shown_faces(
    clip: LabelledClip,
    results: Sequence[FrameResult],
    crops: Mapping[str, Sequence[Crop]],
    *,
    min_iou: float,
    first_block: int,
) -> list[ShownFace]:
    """Frame by frame. crops: by the way in which they are taken."""
    known: dict[int, list[tuple[str, Crop]]] = {}
    for way, of_way in crops.items():
        for crop in of_way:
            known.setdefault(crop.frame, []).append((way, crop))
    newest: dict[int, dict[str, Crop]] = {}
    who: dict[int, int] = {}
    faces: list[ShownFace] = []
    for result, lasts_s in zip(results, durations_s(results), strict=True):
        for way, crop in known.get(result.frame, ()):
            newest[crop.track] = newest.get(crop.track, {}) | {way: crop}
        block = first_block + int(result.pts_s // BLOCK_S)
        found, there = _with_people(clip, result, who, min_iou), set(clip.at(result.frame).ids.tolist())
        for person, track in found:
            is_labelled = person is not None or clip.boxes is None
            faces.append(
                ShownFace(
                    clip=clip.name,
                    face=f"person {person}" if person is not None else f"track {track.id if track else 0}",
                    track=None if track is None else track.id,
                    truth=clip.people[person] if is_labelled else None,
                    is_there=clip.boxes is None or person in there,
                    at_s=result.pts_s,
                    lasts_s=lasts_s,
                    block=block,
                    told=None if track is None else _told(track),
                    labels={} if track is None else labels_of(track.analyses),
                    crops={} if track is None else newest.get(track.id, {}),
                )
            )
    return faces


def _with_people(
    clip: LabelledClip, result: FrameResult, who: dict[int, int], min_iou: float
) -> Iterator[tuple[int | None, TrackResult | None]]:
    """The faces of a frame: labelled person and track, either of which may lack. A track beside all labelled faces is
    whom it was last, unless another track is that now; one that only touches a labelled face is left out. `who`: which
    person each track was last; it is brought up to date."""
    labels = clip.at(result.frame)
    boxes = np.array([track.box for track in result.tracks], np.float32).reshape(-1, 4)
    iou = pairwise_iou(labels.boxes, boxes)
    people = labels.ids.tolist()
    pairs = {column: people[row] for row, column in matches(iou, min_iou)}
    who |= {result.tracks[column].id: person for column, person in pairs.items()}
    taken = set(pairs.values())
    for column, track in enumerate(result.tracks):
        person = pairs.get(column, who.get(track.id))
        if column not in pairs and person in taken:
            person = None
        if person is not None or iou[:, column].max(initial=0.0) < _TOUCHING_IOU:
            yield person, track
            taken.add(person)
    yield from ((person, None) for person in people if person not in taken)


def _told(track: TrackResult) -> Told | None:
    identity = track.analyses.get("identity")
    if identity is None:
        return None
    return identity.state, identity.name if identity.state is IdentityState.IDENTIFIED else None
