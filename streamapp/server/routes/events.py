"""What happened on the streams: searched, and told as it happens."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, Field

from streamapp.choices import EventKind
from streamapp.errors import EventStoreError, Overloaded
from streamapp.events.event_log import EventLog
from streamapp.events.message import EventMessage
from streamapp.events.search import EventFilter, EventQuery
from streamapp.results import IdentityState
from streamapp.server import streaming
from streamapp.server.openapi import problem_responses, sends

_NO_STORE = {"Cache-Control": "no-store"}
_PROBLEMS = {
    503: {
        EventStoreError.code: "the events' file cannot be read or written",
        Overloaded.code: "too much is asked at once; come back after Retry-After seconds",
    }
}
_Stream = Annotated[str | None, Query(max_length=64, description="Only of this stream.")]
_Time = Annotated[AwareDatetime | None, Query(description="ISO 8601 with a time zone, or Unix time in seconds.")]


class EventPage(BaseModel):
    """Events, newest first."""

    events: list[EventMessage]
    next_cursor: UUID | None = Field(description="For the page after this one; null if this is the last.")


def _filter(
    person: Annotated[UUID | None, Query(description="Only about this person.")] = None,
    stream: _Stream = None,
    kind: Annotated[list[EventKind] | None, Query(description="Only of these kinds; may be given again.")] = None,
    identity: Annotated[
        list[IdentityState] | None,
        Query(description="Only of faces that left and of whom this was known; may be given again."),
    ] = None,
) -> EventFilter:
    return EventFilter(
        person_id=person, stream=stream, kinds=frozenset(kind or ()), identities=frozenset(identity or ())
    )


_Filter = Annotated[EventFilter, Depends(_filter)]


def events_router(log: EventLog) -> APIRouter:
    router = APIRouter(prefix="/events", tags=["events"])

    @router.get("", responses=problem_responses(_PROBLEMS))
    async def search_events(
        wanted: _Filter,
        since: Annotated[_Time, Query(alias="from")] = None,
        until: Annotated[_Time, Query(alias="to", description="Not itself part of it.")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[UUID | None, Query(description="The next_cursor of the page before.")] = None,
    ) -> EventPage:
        """What happened, newest first."""
        narrowed = EventFilter(
            since=None if since is None else since.timestamp(),
            until=None if until is None else until.timestamp(),
            person_id=wanted.person_id,
            stream=wanted.stream,
            kinds=wanted.kinds,
            identities=wanted.identities,
        )
        found = await log.search(EventQuery(narrowed, limit + 1, before=cursor))
        page = found[:limit]
        return EventPage(events=page, next_cursor=page[-1].id if len(found) > limit else None)

    @router.get("/live", response_class=StreamingResponse, responses=sends("text/event-stream"))
    async def live_events(
        wanted: _Filter,
        after: Annotated[UUID | None, Query(description="Begins after this event; the header is stronger.")] = None,
        last_event_id: Annotated[UUID | None, Header(description="Goes on after this event.")] = None,
    ) -> StreamingResponse:
        """Server-sent events as it happens, each named by its kind."""
        events = streaming.live_events(log, wanted, last_event_id or after)
        return StreamingResponse(events, media_type="text/event-stream", headers=_NO_STORE)

    return router
