"""The tab that says what fits in how much memory: the table of `streamapp plan`, for any budget."""

from __future__ import annotations

import asyncio

import gradio as gr

from streamapp.choices import DeviceChoice, Profile
from streamapp.demo import words
from streamapp.demo.markup import html
from streamapp.errors import StreamappError
from streamapp.planning import plan_of
from streamapp.scheduler.plan import Plan
from streamapp.settings import Settings
from streamapp.zoo.manifest import load_manifest

BUDGETS_MB = (100, 24_000)
USUAL_BUDGET_MB = 6000
STEP_MB = 100
_MB = 1_000_000


def build(settings: Settings) -> None:
    """The tab's components and what they do."""
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            budget = gr.Slider(*BUDGETS_MB, value=USUAL_BUDGET_MB, step=STEP_MB, label="Memory for the models, MB")
            profile = gr.Radio([p.value for p in Profile], value=settings.models.profile.value, label="Profile")
            device = gr.Radio([d.value for d in DeviceChoice], value=settings.scheduler.device.value, label="Runs on")
            show = gr.Button("Show the plan", variant="primary", elem_id="plan-show")
        with gr.Column(scale=3, min_width=280):
            shown = html(words.note("Nothing is loaded for this."), elem_id="plan-table")

    async def plan(budget_mb: float, profile: str, device: str) -> str:
        try:
            found = await asyncio.to_thread(
                plan_of,
                settings,
                budget_mb=max(1, round(budget_mb)),
                profile=Profile(profile),
                device=DeviceChoice(device),
            )
        except StreamappError as error:
            return words.trouble(error)
        return _plan(found)

    inputs = [budget, profile, device]
    for event in (show.click, budget.release, profile.input, device.input):
        event(plan, inputs, shown, show_progress="hidden", trigger_mode="always_last", api_visibility="private")


def _plan(found: Plan) -> str:
    manifest = load_manifest()
    rows = [
        (
            p.variant, p.task, _mb(p.resident_bytes), f"+{_mb(p.loading_bytes)}", p.source, p.fate,
            manifest.named(p.variant).licence or "not known",
        )
        for p in found.placements
    ]  # fmt: skip
    head = ("variant", "task", "MB", "to load", "number is", "fate", "licence of the weights")
    caption = f"Profile {found.profile} on {found.device} in {_mb(found.budget_bytes)} MB"
    summary = (
        f"One process takes {_mb(found.needed_bytes)} MB: context {_mb(found.context_bytes)}, resident "
        f"{_mb(found.resident_bytes)}, room to load and swap {_mb(found.swap_bytes)}, reserve "
        f"{_mb(found.reserve_bytes)}. All of it would stay resident in {_mb(found.everything_bytes)} MB."
    )
    lacks = "" if found.lacks is None else words.warning(found.lacks)
    return words.table(caption, head, rows, "This profile has no models.") + words.note(summary) + lacks


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / _MB:.0f}"
