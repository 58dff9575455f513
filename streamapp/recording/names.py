"""Names in results: recordings keep people by their id in the gallery, and are told with the names it has now. Pure."""

from __future__ import annotations

from dataclasses import replace

from streamapp.gallery.people import NameOf
from streamapp.results import Analyses, FrameResult, TrackResult


def renamed(result: FrameResult, name_of: NameOf) -> FrameResult:
    """The people who were identified, with the names that `name_of` has for them."""
    return replace(result, tracks=tuple(_renamed(track, name_of) for track in result.tracks))


def nameless(result: FrameResult) -> FrameResult:
    return renamed(result, lambda _: None)


def _renamed(track: TrackResult, name_of: NameOf) -> TrackResult:
    identity = track.analyses.get("identity")
    if identity is None or identity.person_id is None:
        return track
    analyses: Analyses = {**track.analyses, "identity": replace(identity, name=name_of(identity.person_id))}
    return replace(track, analyses=analyses)
