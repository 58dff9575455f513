"""An event as it is told to others, as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from streamapp.choices import EventKind
from streamapp.events.event import Event
from streamapp.gallery.people import NameOf
from streamapp.results import IdentityState


class EventMessage(BaseModel):
    """Something that happened on a stream. What does not apply to its kind is null."""

    model_config = ConfigDict(frozen=True)

    id: UUID = Field(description="Sorts by the time it was noticed (UUID version 7).")
    kind: EventKind
    stream: str
    at: float = Field(description="Unix time in seconds at which it happened, by the server's clock.")
    visit: UUID | None = Field(
        description="One stay of one face in front of a camera: the id of the event that it appeared."
    )
    track: int | None = Field(description="The track of the face in the results of the stream.")
    frame: int | None = Field(description="The newest frame on which the face was seen.")
    pts_s: float | None = Field(description="The time of that frame in the stream.")
    person_id: UUID | None
    name: str | None = Field(description="What the gallery says now; null for a person who was erased.")
    because: str | None = Field(
        description="left: gone, stream_lost, stream_ended or same_person. stream_lost: the code of the error."
    )
    score: float | None = Field(
        description="spoof_suspected: how much it looks like a living person, 0 to 1. identified: the similarity."
    )
    duration_s: float | None = Field(
        description="left: length of the visit in the stream's time. stream_recovered: how long the stream was lost."
    )
    identity: IdentityState | None = Field(
        description="left: what was known of who it was when last seen; null where it was compared with nobody."
    )

    @classmethod
    def of(cls, event: Event, name_of: NameOf) -> EventMessage:
        return cls(
            id=event.id,
            kind=event.kind,
            stream=event.stream,
            at=event.at,
            visit=event.visit,
            track=event.track,
            frame=event.frame,
            pts_s=event.pts_s,
            person_id=event.person_id,
            name=None if event.person_id is None else name_of(event.person_id),
            because=event.because,
            score=event.score,
            duration_s=event.duration_s,
            identity=event.identity,
        )


class WebhookBody(BaseModel):
    """What a webhook is sent, as Standard Webhooks has it: type, time, and the thing itself."""

    type: EventKind
    timestamp: str = Field(description="ISO 8601, UTC: when it happened.")
    data: EventMessage

    @classmethod
    def of(cls, message: EventMessage) -> WebhookBody:
        at = datetime.fromtimestamp(message.at, UTC).isoformat(timespec="milliseconds")
        return cls(type=message.kind, timestamp=at, data=message)
