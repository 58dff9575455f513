"""What the server and its workers say to each other, beside HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from streamapp.errors import StreamappError
from streamapp.events.event import Event
from streamapp.findings import Embedding
from streamapp.gallery.changes import Updated
from streamapp.gallery.replica import Copied
from streamapp.server.schemas import StreamRequest

# -- to a worker -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The first word: which streams are its own, and who is in the gallery. version: None if there is no gallery."""

    streams: tuple[StreamRequest, ...]
    names: Mapping[UUID, str]
    version: int | None


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody's name; None: they were erased, and nothing may be left of them."""

    person_id: UUID
    name: str | None
    version: int | None


@dataclass(frozen=True, slots=True)
class LookAgain:
    """There is somebody faces were not compared with yet."""

    version: int | None


@dataclass(frozen=True, slots=True)
class Settle:
    """Answered with None once all that was told before is true there."""


@dataclass(frozen=True, slots=True)
class TakeCensus:
    """Answered with a Census."""


@dataclass(frozen=True, slots=True)
class TakeShots:
    """Answered with TakenShots."""

    stream: str
    track_id: int


@dataclass(frozen=True, slots=True)
class RejectTrack:
    """Answered with the track's FaceShot, or None."""

    stream: str
    track_id: int
    person_id: UUID


# -- to the server -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begun:
    """Its streams are there."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something happened on a stream."""

    event: Event


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody was identified just now."""

    person_id: UUID


@dataclass(frozen=True, slots=True)
class Kept:
    """The streams that were added there, all of them, as they are to be started again."""

    streams: tuple[StreamRequest, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """Who is most like a face. Answered with a SearchResult, or None."""

    probe: Mapping[str, Embedding]


Told = Begin | Named | LookAgain | Copied | Updated | Begun | Noticed | Seen | Kept
Request = Settle | TakeCensus | TakeShots | RejectTrack | Search

# -- both ways ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask:
    number: int
    request: Request


@dataclass(frozen=True, slots=True)
class Answer:
    number: int
    value: object
    error: StreamappError | None
