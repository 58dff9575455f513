"""Our own pieces of the page, as Gradio's HTML component without anything of Gradio's around it."""

from __future__ import annotations

import gradio as gr


def html(value: str = "", *, elem_id: str) -> gr.HTML:
    """The HTML as it is. No script comes with it: web/demo_*.js find their elements on the page."""
    return gr.HTML(value, js_on_load=None, apply_default_css=False, elem_id=elem_id)
