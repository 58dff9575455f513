"""The tab for video files: a clip in, the annotated clip and its results out."""

from __future__ import annotations

from collections.abc import AsyncIterator

import gradio as gr

from streamapp.demo import words
from streamapp.demo.clips import ClipOutcome, ClipProgress, analyse
from streamapp.demo.image_tab import MODES
from streamapp.demo.markup import html
from streamapp.demo.shelf import Kind, Shelf
from streamapp.errors import ClipInvalid, StreamappError
from streamapp.faces import Mode
from streamapp.runtime import Runtime

Shown = tuple[str, str, str]
"""Status, result and models, as HTML."""


def build(runtime: Runtime, shelf: Shelf) -> None:
    """The tab's components and what they do."""
    limits = runtime.settings.demo
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            html(_picker(limits.max_clip_bytes, limits.max_clip_s), elem_id="clip-picker")
            token = gr.Textbox(visible="hidden", elem_id="clip-token", max_length=64)
            mode = gr.Radio(MODES, value=Mode.FAST.value, label="Depth")
            with gr.Row():
                start = gr.Button("Analyse", variant="primary", elem_id="clip-start")
                stop = gr.Button("Stop", elem_id="clip-stop")
        with gr.Column(scale=3, min_width=280):
            status = html(words.note("Choose a video first."), elem_id="clip-status")
            result = html(elem_id="clip-result")
            models = html(elem_id="clip-models")

    async def run(token: str, mode: str) -> AsyncIterator[Shown]:
        try:
            async for shown in _analysed(runtime, shelf, token, mode):
                yield shown
        except StreamappError as error:
            yield words.trouble(error), "", ""

    running = start.click(
        run, [token, mode], [status, result, models],
        concurrency_limit=limits.max_clips, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    stop.click(lambda: words.note("Stopped."), None, status, cancels=[running], api_visibility="private")


async def _analysed(runtime: Runtime, shelf: Shelf, token: str, mode: str) -> AsyncIterator[Shown]:
    if not token:
        raise ClipInvalid("choose a video first")
    clip = shelf.find(token, Kind.CLIP)
    yield words.progress("Starting", None), "", ""
    async for step in analyse(runtime, shelf, clip, Mode(mode)):
        match step:
            case ClipProgress():
                yield words.progress(_say_progress(step), step.done), "", ""
            case ClipOutcome():
                yield words.note(_say_outcome(step)), _result(step), words.licences_table(step.models)


def _say_progress(step: ClipProgress) -> str:
    seen = words.faces(step.faces)
    return f"{step.frames} frames, {step.at_s:.1f} s of the clip, {step.fps:.0f} frames a second, {seen} in view"


def _say_outcome(outcome: ClipOutcome) -> str:
    said = f"{outcome.frames} frames, {outcome.length_s:.1f} s"
    if outcome.was_cut:
        said += " (only the beginning of the clip was analysed)"
    return f"{said}: {words.faces(outcome.tracks)} followed, at most {outcome.most_at_once} at once."


def _result(outcome: ClipOutcome) -> str:
    return (
        f'<video class="demo-picture" controls playsinline src="/demo/files/{outcome.video.token}" '
        'aria-label="The clip with a box around every face"></video><p class="demo-actions">'
        f'<a class="demo-button" download="clip.mp4" href="/demo/files/{outcome.video.token}">Save the clip</a>'
        f'<a class="demo-button" download="results.jsonl" href="/demo/files/{outcome.results.token}">'
        "Save the results (one JSON object per frame)</a></p>"
    )


def _picker(max_bytes: int, max_s: float) -> str:
    return f"""<div class="demo-picker" data-kind="clip" data-target="clip-token">
<p class="demo-actions"><label class="demo-button">Choose a video<input type="file" accept="video/*"></label></p>
<p class="demo-note" role="status" data-status>Up to {max_bytes // 1_000_000} MB; the first {max_s:g} s count.</p>
</div>"""
