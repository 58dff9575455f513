"""The tab for pictures: a file, a look of the webcam or an example, in any mode."""

from __future__ import annotations

import asyncio
import base64
from html import escape

import gradio as gr
from pydantic import TypeAdapter

from streamapp.demo import drawing, words
from streamapp.demo.markup import html
from streamapp.demo.shelf import Kind, Shelf
from streamapp.errors import PictureUnsupported, StreamappError
from streamapp.faces import Mode
from streamapp.frame import Image
from streamapp.results import ImageResult
from streamapp.runtime import Runtime
from streamapp.server.pictures import decode

EXAMPLE_PREFIX = "example:"
CLIENT = "demo"
THUMBNAIL_SIDE = 220
AT_ONCE = 2
MODES = [
    ("Fast: near faces", Mode.FAST.value),
    ("Standard: far faces too", Mode.STANDARD.value),
    ("Precision: refined points", Mode.PRECISION.value),
    ("Full: liveness, age, identity", Mode.FULL.value),
]
_RESULT: TypeAdapter[ImageResult] = TypeAdapter(ImageResult)
_ORIGIN = (
    "Examples are from the clip that comes with the app: portraits in the public domain (Eileen Collins, NASA; Grace "
    "Hopper, US Navy) before a drawn wall."
)


def build(runtime: Runtime, shelf: Shelf) -> None:
    """The tab's components and what they do."""
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            html(_picker(), elem_id="picture-picker")
            token = gr.Textbox(visible="hidden", elem_id="picture-token", max_length=64)
            mode = gr.Radio(MODES, value=Mode.FAST.value, label="Depth")
            start = gr.Button("Find faces", variant="primary", elem_id="picture-start")
        with gr.Column(scale=3, min_width=280):
            painted = html(words.note("Choose a picture first."), elem_id="picture-painted")
            faces = html(elem_id="picture-faces")
            models = html(elem_id="picture-models")
            with gr.Accordion("As JSON", open=False):
                json = gr.Code(language="json", interactive=False, elem_id="picture-json")

    async def examine(token: str, mode: str) -> tuple[str, str, str, str]:
        try:
            return await _examined(runtime, shelf, token, mode)
        except StreamappError as error:
            return words.trouble(error), "", "", ""

    start.click(
        examine, [token, mode], [painted, faces, models, json],
        concurrency_limit=AT_ONCE, show_progress="minimal", api_visibility="private",
    )  # fmt: skip


async def _examined(runtime: Runtime, shelf: Shelf, token: str, mode: str) -> tuple[str, str, str, str]:
    rgb = await _picture(runtime, shelf, token)
    result = await runtime.models.examine(rgb, Mode(mode), client=CLIENT)
    path = shelf.place(Kind.PAINTED_PICTURE)
    private = runtime.settings.privacy.blur_unknown
    await asyncio.to_thread(lambda: path.write_bytes(drawing.painted(rgb, result, private=private)))
    item = shelf.put(Kind.PAINTED_PICTURE, path)
    said = f"{words.faces(len(result.faces))} in {result.timing_ms['total']:.0f} ms"
    shown = f'<img class="demo-picture" src="/demo/files/{item.token}" alt="The picture with a box around every face">'
    json = _RESULT.dump_json(result, indent=1).decode()
    return shown + words.note(said), words.faces_table(result), words.models_table(result), json


async def _picture(runtime: Runtime, shelf: Shelf, token: str) -> Image:
    """Raises NotFound, PictureUnsupported, PictureInvalid, PictureTooLarge."""
    if token.startswith(EXAMPLE_PREFIX):
        try:
            return await asyncio.to_thread(drawing.example_picture, token.removeprefix(EXAMPLE_PREFIX))
        except KeyError:
            raise PictureUnsupported("there is no such example") from None
    if not token:
        raise PictureUnsupported("choose a picture first")
    item = shelf.find(token, Kind.PICTURE)
    data = await asyncio.to_thread(item.path.read_bytes)
    return await asyncio.to_thread(decode, data, runtime.settings.server.max_image_pixels)


def _picker() -> str:
    examples = "".join(
        f'<button type="button" class="demo-example" data-token="{EXAMPLE_PREFIX}{example.name}" aria-pressed="false">'
        f'<img src="{_data_url(example.name)}" alt="">{escape(example.title)}</button>'
        for example in drawing.EXAMPLES
    )
    return f"""<div class="demo-picker" data-kind="picture" data-target="picture-token">
<p class="demo-actions">
<label class="demo-button">Choose a picture<input type="file" accept="image/jpeg,image/png,image/webp"></label>
<button type="button" class="demo-button" data-snapshot>Use the webcam</button></p>
<div class="demo-snapshot" hidden><video muted playsinline aria-label="Webcam"></video>
<p class="demo-actions"><button type="button" class="demo-button" data-snap>Take the picture</button>
<button type="button" class="demo-button" data-snap-cancel>Cancel</button></p></div>
<p class="demo-note" role="status" data-status>JPEG, PNG or WebP</p>
<img class="demo-preview" alt="The chosen picture" hidden>
<div class="demo-examples" role="group" aria-label="Examples">{examples}</div>
<p class="demo-small">{escape(_ORIGIN)}</p></div>"""


def _data_url(name: str) -> str:
    small = drawing.coded(drawing.example_picture(name), THUMBNAIL_SIDE)
    return "data:image/jpeg;base64," + base64.b64encode(small).decode()
