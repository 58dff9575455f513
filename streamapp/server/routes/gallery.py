"""The gallery over HTTP: people are enrolled, listed, exported and erased; faces identified and verified."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from streamapp.enrolment.appraisal import Appraisal, FaceReader
from streamapp.enrolment.enroller import Enrolled, Enroller, Refused, RefusedBecause, checked, complaints
from streamapp.enrolment.live_tracks import LiveTracks, appraised_track, rejected_track
from streamapp.enrolment.recognition import identified, verified
from streamapp.errors import UsageError
from streamapp.gallery.export import export_json
from streamapp.gallery.gallery import Gallery
from streamapp.gallery.gate import COMPARABLE, GateRules
from streamapp.runtime import Runtime
from streamapp.server.entrance import grant_of
from streamapp.server.gallery_openapi import (
    ENROLL,
    EXPORT,
    IDENTIFY,
    OF_PEOPLE,
    OF_PERSON,
    REJECT,
    RENAME,
    SAMPLES,
    VERIFY,
    described,
)
from streamapp.server.gallery_requests import (
    NewName,
    NewPerson,
    NewPersonOfTrack,
    Permissions,
    TrackReference,
    TrackSamples,
)
from streamapp.server.people_answers import (
    EnrolmentAnswer,
    ErasureInfo,
    PeoplePage,
    PersonDetails,
    PersonInfo,
    PictureReport,
    SimilarPerson,
)
from streamapp.server.problems import problem
from streamapp.server.recognition_answers import IdentificationAnswer, VerificationAnswer
from streamapp.server.security import FORM_TYPE, is_form
from streamapp.server.uploads import FIELD, Form, Uploads, connected

ACTOR = "api"
"""In the audit log; with the name of the token, where tokens are in use."""
MAX_PICTURES = 10
"""Of one request."""
MAX_PAGE = 500
MAX_OFFSET = 2**31 - 1
_PRIVATE = {"Cache-Control": "no-store"}
_STATUS = {
    RefusedBecause.PICTURES: status.HTTP_422_UNPROCESSABLE_CONTENT,
    RefusedBecause.DIFFERENT_PEOPLE: status.HTTP_422_UNPROCESSABLE_CONTENT,
    RefusedBecause.ALREADY_ENROLLED: status.HTTP_409_CONFLICT,
    RefusedBecause.NOT_COMPARABLE: status.HTTP_409_CONFLICT,
}

M = TypeVar("M", bound=BaseModel)
F = TypeVar("F", bound=Permissions)
T = TypeVar("T", bound=TrackSamples)


def _private(response: Response) -> None:
    response.headers.update(_PRIVATE)


def gallery_router(runtime: Runtime, uploads: Uploads, tracks: LiveTracks) -> APIRouter:
    router = APIRouter(prefix="/gallery", tags=["gallery"], dependencies=[Depends(_private)])
    reader, enroller = FaceReader(runtime.models), Enroller(runtime.models)

    def gallery() -> Gallery:
        return runtime.models.identification.gallery

    def records() -> Gallery:
        """Also without a recogniser."""
        return runtime.models.identification.people

    async def photos(request: Request, form: Form, rules: GateRules) -> list[Appraisal]:
        """One after the other, so that a single one is decoded at a time. A file that is no picture refuses them
        all."""
        found = []
        async with connected(request):
            for number, file in enumerate(form.files, 1):
                try:
                    rgb = await uploads.decoded(file)
                except UsageError as error:
                    raise type(error)(f"picture {number}: {error}") from error
                found.append(await reader.photo(rgb, rules, client=_client(request)))
        return found

    async def pictures_of(
        request: Request, wanted_with: type[F], wanted_of: type[T], check: Callable[[F | T], None]
    ) -> tuple[F | T, list[Appraisal]]:
        """A form with pictures, or JSON that names a live track: what is wanted, and what the pictures are worth."""
        wanted: F | T
        async with uploads.place():
            if is_form(request.headers):
                form = await uploads.form(request, max_files=MAX_PICTURES)
                wanted = _validated(wanted_with, form.fields)
                check(wanted)
                return wanted, await photos(request, form, GateRules(allow_spoof=wanted.allow_spoof))
            track = await _json(request, wanted_of)
            check(track)
            rules = GateRules(must_be_live=True, allow_spoof=track.allow_spoof)
            async with connected(request):
                client = _client(request)
                return track, await appraised_track(reader, tracks, track.stream, track.track, rules, client=client)

    @router.post("/people", status_code=status.HTTP_201_CREATED, **described(ENROLL))
    async def enroll(request: Request, response: Response) -> EnrolmentAnswer:
        """Puts somebody into the gallery who agreed to it, by pictures of their face alone or by a live track. Pictures
        are judged one by one; the good ones are made into embeddings, and none is kept."""
        gallery()
        now = time.time()

        def check(wanted: NewPerson) -> None:
            checked(wanted.name, wanted.consent(now), now)

        wanted, pictures = await pictures_of(request, NewPerson, NewPersonOfTrack, check)
        outcome = await enroller.enroll(
            wanted.name,
            wanted.consent(now),
            pictures,
            allow_duplicate=wanted.allow_duplicate,
            actor=_actor(request),
            now=time.time(),
        )
        return _told(outcome, response)

    @router.get("/people", responses=OF_PEOPLE)
    async def list_people(
        offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100
    ) -> PeoplePage:
        """Everybody, in the order they were enrolled in."""
        people = await records().people(offset, limit)
        total = records().count
        following = offset + len(people)
        return PeoplePage(
            people=[PersonInfo.of(person) for person in people],
            total=total,
            next_offset=following if people and following < total else None,
        )

    @router.get("/people/{person_id}", responses=OF_PERSON)
    async def show_person(person_id: UUID) -> PersonDetails:
        """One person, and how many pictures they were enrolled with."""
        return PersonDetails.of(await records().record(person_id))

    @router.patch("/people/{person_id}", responses=RENAME)
    async def rename_person(request: Request, person_id: UUID, new: NewName) -> PersonInfo:
        """Gives somebody another name."""
        return PersonInfo.of(await records().rename(person_id, new.name, actor=_actor(request), now=time.time()))

    @router.delete("/people/{person_id}", responses=OF_PERSON)
    async def erase_person(request: Request, person_id: UUID) -> ErasureInfo:
        """Erases somebody for good: from the disk, from memory and from all live streams. Backups keep theirs."""
        return ErasureInfo.of(await records().erase(person_id, actor=_actor(request), now=time.time()))

    @router.post("/people/{person_id}/samples", status_code=status.HTTP_201_CREATED, **described(SAMPLES))
    async def add_samples(request: Request, person_id: UUID, response: Response) -> EnrolmentAnswer:
        """Adds further pictures of somebody, who must be like the person enrolled."""
        await gallery().record(person_id)
        wanted, pictures = await pictures_of(request, Permissions, TrackSamples, lambda _: None)
        outcome = await enroller.add(
            person_id, pictures, allow_duplicate=wanted.allow_duplicate, actor=_actor(request), now=time.time()
        )
        return _told(outcome, response)

    @router.get("/people/{person_id}/export", response_class=Response, responses=EXPORT)
    async def export_person(request: Request, person_id: UUID, *, embeddings: bool = False) -> Response:
        """Everything about one person as a file, for the person who asks for it. That it was asked for is logged."""
        exported = await records().export(person_id, actor=_actor(request), now=time.time())
        content = await asyncio.to_thread(export_json, exported, with_embeddings=embeddings)
        headers = {"Content-Disposition": f'attachment; filename="person-{person_id}.json"', **_PRIVATE}
        return Response(content, media_type="application/json", headers=headers)

    @router.post("/people/{person_id}/reject", responses=REJECT)
    async def reject_track(request: Request, person_id: UUID, face: TrackReference) -> PersonInfo:
        """This face is not that person: at once on the live stream, and from now on for faces like it."""
        actor, now = _actor(request), time.time()
        person = await rejected_track(
            reader, gallery(), tracks, face.stream, face.track, person_id, actor=actor, now=now
        )
        return PersonInfo.of(person)

    @router.post("/identify", **described(IDENTIFY))
    async def identify(request: Request) -> IdentificationAnswer:
        """Who is in a picture. It rests on one look, where a stream votes over several."""
        gallery()
        async with uploads.place():
            picture = uploads.decoded((await uploads.form(request)).files[0])
            async with connected(request):
                faces = await reader.faces(await picture, COMPARABLE, client=_client(request))
            return IdentificationAnswer.of(await identified(runtime.models, faces, time.time()))

    @router.post("/verify", **described(VERIFY))
    async def verify(request: Request) -> VerificationAnswer:
        """Whether two pictures show the same person. Nobody is looked up, and nothing is kept."""
        async with uploads.place():
            form = await uploads.form(request, max_files=2)
            if len(form.files) != 2:
                raise HTTPException(422, f"send exactly two files named {FIELD}")
            pictures = await photos(request, form, COMPARABLE)
            first, second = (appraisal.good for appraisal in pictures)
            if first is None or second is None:
                refused = Refused(RefusedBecause.PICTURES, complaints(pictures), tuple(pictures))
                return _refusal(refused)  # type: ignore[return-value]  # FastAPI sends responses as they are
            return VerificationAnswer.of(await verified(runtime.models, first, second), pictures)

    return router


def _actor(request: Request) -> str:
    grant = grant_of(request)
    return ACTOR if grant is None else f"{ACTOR}:{grant.token.name}"


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _validated(model: type[M], fields: Mapping[str, str]) -> M:
    try:
        return model.model_validate(dict(fields))
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


async def _json(request: Request, model: type[M]) -> M:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, f"send {FORM_TYPE} with pictures, or application/json that names a live track")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def _told(outcome: Enrolled | Refused, response: Response) -> EnrolmentAnswer:
    if isinstance(outcome, Refused):
        return _refusal(outcome)  # type: ignore[return-value]  # FastAPI sends responses as they are
    response.headers["Location"] = f"/gallery/people/{outcome.person.id}"
    return EnrolmentAnswer.of(outcome)


def _refusal(refused: Refused) -> JSONResponse:
    members: dict[str, object] = {
        "pictures": [PictureReport.of(appraisal).model_dump(mode="json") for appraisal in refused.pictures],
        "similar": [SimilarPerson.of(similar).model_dump(mode="json") for similar in refused.similar],
    }
    return problem(_STATUS[refused.because], refused.because, refused.detail, _PRIVATE, members)
