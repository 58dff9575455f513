"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): one resource per connection, made by POST, ended by DELETE."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response
from starlette.requests import ClientDisconnect

from streamapp.errors import Conflict, NotFound, OfferInvalid, OfferTooLarge, OfferUnsupported, Overloaded
from streamapp.faces import Mode
from streamapp.sections import IceServer, WebRtcSettings
from streamapp.server.entrance import grant_of
from streamapp.server.openapi import problem_responses
from streamapp.server.sdp import MAX_FRAGMENT_BYTES, Limits, read_fragment, read_offer
from streamapp.server.signalling import Answer, Signalling

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
BODY_TIMEOUT_S = 10.0
PUBLISHED = r"^webrtc-[0-9a-f]{8}$"
"""Names of cameras that browsers publish."""

_OFFER_DOCS = {"requestBody": {"required": True, "content": {SDP: {"schema": {"type": "string"}}}}}
_ANSWER: dict[int | str, dict[str, Any]] = {201: {"content": {SDP: {}}, "description": "The SDP answer."}}
_OFFER_PROBLEMS = {
    400: {OfferInvalid.code: "the body is no SDP offer that can be used; `detail` says why"},
    408: {"request_timeout": f"the offer did not come within {BODY_TIMEOUT_S:g} s"},
    413: {OfferTooLarge.code: "the offer is too large, or has too many candidates"},
    415: {"media_type_unsupported": f"the body is not {SDP}"},
    422: {OfferUnsupported.code: "a sound offer of something this server does not do, such as no video"},
    503: {Overloaded.code: "all places are taken; come back after Retry-After seconds"},
}
_PUBLISH_PROBLEMS = _OFFER_PROBLEMS | {409: {Conflict.code: "a stream has the name that was asked for"}}
_PLAY_PROBLEMS = _OFFER_PROBLEMS | {
    404: {NotFound.code: "no stream has this name"},
    409: {Conflict.code: "the stream is over"},
}
_NO_SESSION = {404: {NotFound.code: "there is no such session; it may have ended"}}
_TRICKLE_PROBLEMS = _NO_SESSION | {
    400: {OfferInvalid.code: "the body is no fragment of SDP that can be used"},
    408: _OFFER_PROBLEMS[408],
    412: {"precondition_failed": "the ICE session has another ETag"},
    413: {OfferTooLarge.code: "the fragment is too large, or the session has too many candidates"},
    415: {"media_type_unsupported": f"the body is not {FRAGMENT}"},
    422: {OfferUnsupported.code: "an ICE restart; end the session and offer a new one"},
    428: {"precondition_required": "send If-Match with the ETag of the session"},
}
_FRAGMENT_DOCS = {"requestBody": {"required": True, "content": {FRAGMENT: {"schema": {"type": "string"}}}}}


def webrtc_router(signalling: Signalling, settings: WebRtcSettings) -> APIRouter:
    router = APIRouter(tags=["webrtc"])
    links = ", ".join(link for server in settings.ice_servers for link in ice_links(server))

    def limits(request: Request) -> Limits:
        return Limits(settings, from_this_machine=_is_loopback(request))

    async def created(request: Request, answer: Answer, location: str) -> Response:
        if await request.is_disconnected():  # nobody will ever know the answer
            await signalling.end(answer.id)
        elif (grant := grant_of(request)) is not None:
            signalling.end_with(answer.id, grant)
        headers = {"Location": location, "ETag": answer.etag} | ({"Link": links} if links else {})
        return Response(answer.sdp, 201, headers, media_type=SDP)

    @router.post(
        "/whip",
        status_code=201,
        response_class=Response,
        responses=_ANSWER | problem_responses(_PUBLISH_PROBLEMS),
        openapi_extra=_OFFER_DOCS,
    )
    async def publish(
        request: Request,
        mode: Mode | None = None,
        privacy: bool = False,
        name: Annotated[str | None, Query(pattern=PUBLISHED)] = None,
    ) -> Response:
        """Publishes a camera. The answer takes video; it sends the overlay back if the offer asks to receive video.
        privacy: blur who is not enrolled in what others see; also if not asked for where that is the server's setting.
        name: that of the stream before its connection was lost, as its results said it.
        """
        offer = read_offer(await _body(request, SDP, settings.max_sdp_bytes), limits(request))
        answer = await signalling.publish(offer, mode, private=privacy, name=name)
        return await created(request, answer, f"/whip/{answer.id}")

    @router.post(
        "/whep/{stream}",
        status_code=201,
        response_class=Response,
        responses=_ANSWER | problem_responses(_PLAY_PROBLEMS),
        openapi_extra=_OFFER_DOCS,
    )
    async def play(request: Request, stream: str) -> Response:
        """Plays a stream."""
        offer = read_offer(await _body(request, SDP, settings.max_sdp_bytes), limits(request))
        answer = await signalling.play(stream, offer)
        return await created(request, answer, f"/whep/{stream}/{answer.id}")

    @router.options("/whip", response_class=Response)
    @router.options("/whep/{stream}", response_class=Response)
    async def endpoint_options() -> Response:
        """What may be posted, and the ICE servers to use."""
        headers = {"Allow": "GET, HEAD, OPTIONS, POST", "Accept-Post": SDP} | ({"Link": links} if links else {})
        return Response(status_code=200, headers=headers)

    @router.options("/whip/{session}", response_class=Response)
    @router.options("/whep/{stream}/{session}", response_class=Response)
    async def session_options() -> Response:
        """What may be done with a connection."""
        headers = {"Allow": "DELETE, GET, HEAD, OPTIONS, PATCH", "Accept-Patch": FRAGMENT}
        return Response(status_code=200, headers=headers)

    @router.api_route("/whip", methods=["GET", "HEAD"], status_code=204, include_in_schema=False)
    @router.api_route("/whep/{stream}", methods=["GET", "HEAD"], status_code=204, include_in_schema=False)
    async def endpoint() -> None:
        """There is nothing to get, which is said with a success (RFC 9725 section 4.1)."""

    @router.api_route("/whip/{session}", methods=["GET", "HEAD"], status_code=204, include_in_schema=False)
    @router.api_route("/whep/{stream}/{session}", methods=["GET", "HEAD"], status_code=204, include_in_schema=False)
    async def session_itself(session: str) -> None:
        signalling.peer(session)

    @router.patch(
        "/whip/{session}",
        status_code=204,
        response_class=Response,
        responses=problem_responses(_TRICKLE_PROBLEMS),
        openapi_extra=_FRAGMENT_DOCS,
    )
    @router.patch(
        "/whep/{stream}/{session}",
        status_code=204,
        response_class=Response,
        responses=problem_responses(_TRICKLE_PROBLEMS),
        openapi_extra=_FRAGMENT_DOCS,
    )
    async def trickle(request: Request, session: str, if_match: Annotated[str | None, Header()] = None) -> Response:
        """Adds ICE candidates. ICE restarts are refused with 422."""
        peer = signalling.peer(session)
        body = await _body(request, FRAGMENT, MAX_FRAGMENT_BYTES)
        if if_match is None:
            raise HTTPException(428, "send If-Match with the ETag of the session")
        if if_match.strip('"') == "*":
            raise OfferUnsupported("ICE restarts are not supported; end the session and offer a new one")
        if if_match != peer.etag:
            raise HTTPException(412, "the ICE session has another ETag")
        await signalling.trickle(session, read_fragment(body, limits(request)))
        return Response(status_code=204)

    @router.delete(
        "/whip/{session}", status_code=200, response_class=Response, responses=problem_responses(_NO_SESSION)
    )
    @router.delete(
        "/whep/{stream}/{session}", status_code=200, response_class=Response, responses=problem_responses(_NO_SESSION)
    )
    async def end(session: str) -> Response:
        """Ends the connection; everything it held is free when this returns."""
        await signalling.end(session)
        return Response(status_code=200)

    return router


def ice_links(server: IceServer) -> list[str]:
    """One Link header value per address (RFC 9725 section 4.6)."""
    parameters = 'rel="ice-server"'
    if server.username is not None:
        parameters += f"; username={_quoted(server.username)}"
    if server.credential is not None:
        parameters += f'; credential={_quoted(server.credential.get_secret_value())}; credential-type="password"'
    return [f"<{url}>; {parameters}" for url in server.urls]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


async def _body(request: Request, media_type: str, max_bytes: int) -> bytes:
    """The whole body, which must be of the given type, not too large and not too slow."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        raise HTTPException(415, f"send {media_type}")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise OfferTooLarge(f"the body is larger than {max_bytes} bytes")
    except TimeoutError:
        raise HTTPException(408, f"the body did not come within {BODY_TIMEOUT_S:g} s") from None
    except ClientDisconnect:
        raise HTTPException(400, "the client went away") from None
    return bytes(body)


def _is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
