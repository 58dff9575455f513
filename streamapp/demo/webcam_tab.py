"""The tab for the webcam: the video goes to the server's WHIP endpoint, web/demo_camera.js draws what comes back."""

from __future__ import annotations

from html import escape

from streamapp.demo.image_tab import MODES
from streamapp.demo.markup import html
from streamapp.faces import Mode


def build() -> None:
    """The tab's markup. Gradio puts it on the page; the script finds it there."""
    html(_markup(), elem_id="webcam")


def _markup() -> str:
    options = "".join(
        f'<option value="{value}"{" selected" if value == Mode.FAST else ""}>{escape(label)}</option>'
        for label, value in MODES
    )
    return f"""<div class="demo-webcam" id="demo-webcam">
<div class="demo-stage"><video muted playsinline autoplay aria-hidden="true" tabindex="-1" data-part="video"></video>
<canvas role="img" aria-label="Live video with a box around every face" data-part="canvas"></canvas>
<p class="demo-welcome" data-part="welcome">The picture goes to this server and nowhere else, once you start.</p></div>
<p class="demo-actions">
<button type="button" class="demo-button demo-primary" data-part="start" disabled>Start camera</button>
<button type="button" class="demo-button" data-part="stop" disabled>Stop</button>
<label>Depth <select data-part="mode">{options}</select></label></p>
<p class="demo-note" role="status" data-part="status">Not connected</p>
<dl class="demo-figures">
<div><dt>Latency, capture to drawn</dt><dd data-part="latency">–</dd></div>
<div><dt>Results a second</dt><dd data-part="rate">–</dd></div>
<div><dt>Faces</dt><dd data-part="faces">–</dd></div></dl></div>"""
