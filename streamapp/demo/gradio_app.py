"""The page as Gradio builds it: a tab a file. Importing this loads Gradio: `library.quieten` comes first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import gradio as gr
from fastapi import FastAPI

from streamapp.demo import image_tab, plan_tab, video_tab, webcam_tab
from streamapp.demo.shelf import Shelf
from streamapp.runtime import Runtime
from streamapp.server.silence import TELEMETRY_OFF

MAX_WAITING = 16
"""Calls that may wait for their turn; further ones are refused."""
_SYSTEM_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Liberation Sans", "sans-serif"]
_MONO_FONTS = ["ui-monospace", "Menlo", "Consolas", "Liberation Mono", "monospace"]
_CONTRAST = {
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_300",
    "block_title_text_color": "*neutral_600",
    "block_title_text_color_dark": "*neutral_300",
    "block_label_text_color": "*neutral_600",
    "block_label_text_color_dark": "*neutral_300",
    **{f"button_primary_background_fill{kind}": "*primary_700" for kind in ("", "_dark")},
    **{f"button_primary_background_fill_hover{kind}": "*primary_800" for kind in ("", "_dark")},
}
"""Text of Gradio's that has too little contrast (WCAG 2.2, 1.4.3) by default; demo.css has the rest."""
_HEAD = (
    '<link rel="icon" href="/icon.svg" type="image/svg+xml"><link rel="stylesheet" href="/demo.css">'
    '<script type="module" src="/demo_camera.js"></script><script type="module" src="/demo_files.js"></script>'
)
_INTRODUCTION = """# streamapp
Faces in live video, pictures and recordings. Everything stays on this server, and nothing is kept: what you hand in is
removed after a few minutes. The weights of the models have licences of their own, named beside each result; many are
for research only."""


def build(runtime: Runtime, shelf: Shelf) -> gr.Blocks:
    """The page. Its functions run on the event loop that `runtime` belongs to."""
    page: gr.Blocks
    with gr.Blocks(title="streamapp demo", analytics_enabled=False) as page:
        gr.Markdown(_INTRODUCTION)
        with gr.Tabs():
            with gr.Tab("Webcam", id="webcam"):
                webcam_tab.build()
            with gr.Tab("Image", id="image"):
                image_tab.build(runtime, shelf)
            with gr.Tab("Video", id="video"):
                video_tab.build(runtime, shelf)
            with gr.Tab("Plan", id="plan"):
                plan_tab.build(runtime.settings)
    page.queue(max_size=MAX_WAITING, api_open=False)
    return page


def mount(runtime: Runtime, shelf: Shelf, prefix: str) -> tuple[FastAPI, AbstractAsyncContextManager[None]]:
    """An app with the page at `prefix`, and the context in which it works. To be called on the event loop."""
    quiet = {"docs_url": None, "redoc_url": None, "openapi_url": None, "telemetry": TELEMETRY_OFF}
    page = build(runtime, shelf)
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None, telemetry=TELEMETRY_OFF),
        page,
        prefix,
        footer_links=[],
        run_history=False,
        app_kwargs=quiet,
        allowed_paths=[],
        blocked_paths=["/"],
        show_error=False,
        max_file_size=1,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=gr.themes.Base(primary_hue="teal", font=_SYSTEM_FONTS, font_mono=_MONO_FONTS).set(**_CONTRAST),
        head=_HEAD,
    )
    page.has_launched = True  # without it Gradio checks no path, wherever it comes from
    return app, _running(app, page)


@asynccontextmanager
async def _running(app: FastAPI, page: gr.Blocks) -> AsyncIterator[None]:
    async with app.router.lifespan_context(app):
        try:
            yield
        finally:
            page.close(verbose=False)
