"""Pictures in, faces out: one upload, one answer, nothing kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from streamapp.faces import Mode
from streamapp.frame import Image
from streamapp.results import ImageResult
from streamapp.server.openapi import FORM, responses
from streamapp.server.uploads import FIELD, Uploads, connected

_RESULT: TypeAdapter[ImageResult] = TypeAdapter(ImageResult)
_PATHS = {
    "/detect/fast": Mode.FAST,
    "/detect/standard": Mode.STANDARD,
    "/detect/precision": Mode.PRECISION,
    "/analyze/full": Mode.FULL,
}
_SAYS = {
    Mode.FAST: "Near faces, by MediaPipe.",
    Mode.STANDARD: "Near and far faces: YOLO looks too.",
    Mode.PRECISION: "As standard, and MTCNN refines the boxes and adds landmarks.",
    Mode.FULL: "As precision, and every face is analysed: identity, liveness, gender and age, deepfake.",
}
_BOXES = "Boxes are in pixels of the picture turned upright. Of an animated picture the first one counts."


class PictureExaminer(Protocol):
    """What finds and analyses the faces of a picture."""

    async def examine(self, rgb: Image, mode: Mode, *, client: str) -> ImageResult:
        """`client` says whose picture it is, so that one cannot crowd out the others. Raises ModelMissing if a model
        without which the mode makes no sense is not installed, Overloaded if there is no room. Stops when cancelled."""
        ...


def images_router(examiner: PictureExaminer, uploads: Uploads) -> APIRouter:
    router = APIRouter(tags=["images"])

    async def examined(request: Request, mode: Mode) -> ImageResult:
        client = request.client.host if request.client else ""
        async with uploads.place():
            picture = uploads.decoded((await uploads.form(request)).files[0])
            async with connected(request):  # neither the upload nor the pixels are held here
                return await examiner.examine(await picture, mode, client=client)

    def endpoint(mode: Mode) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            content = _RESULT.dump_json(await examined(request, mode))
            return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})

        return answer

    for path, mode in _PATHS.items():
        router.add_api_route(
            path,
            endpoint(mode),
            methods=["POST"],
            name=f"examine_{mode.value}",
            summary=f"The faces of a picture, {mode.value}",
            description=f"{_SAYS[mode]} {_BOXES} Try `curl -F {FIELD}=@portrait.jpg http://127.0.0.1:8000{path}`.",
            response_model=ImageResult,
            responses=responses(mode),
            openapi_extra=FORM,
        )
    return router
