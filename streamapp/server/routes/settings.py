"""The settings in force and what this machine is: both to look at. Nothing here changes anything."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from streamapp.doctor import diagnose
from streamapp.errors import SettingsError
from streamapp.runtime import Runtime
from streamapp.server.machine_answers import MachineReport
from streamapp.server.openapi import problem_responses
from streamapp.server.settings_answers import SettingsCheck, SettingsLines, SettingsReport, check_of, report_of

_NO_STORE = {"Cache-Control": "no-store"}
_WRONG_LINES = {400: {SettingsError.code: "a line is wrong; `detail` says which and how"}}


def settings_router(runtime: Runtime) -> APIRouter:
    router = APIRouter(tags=["settings"])
    looking = asyncio.Lock()

    @router.get("/settings")
    async def show_settings(response: Response) -> SettingsReport:
        """Every setting: its value, where that comes from, its default and its meaning. Secrets are masked."""
        response.headers.update(_NO_STORE)
        return report_of(runtime.settings)

    @router.post("/settings/check", responses=problem_responses(_WRONG_LINES))
    async def check_settings(lines: SettingsLines) -> SettingsCheck:
        """Whether lines for the settings file are right, and what they would change at the next start. Nothing is
        written: settings say which files are read and to whom events are sent, and whoever may edit the file decides
        that."""
        return check_of(runtime.settings, lines.toml)

    @router.get("/machine")
    async def show_machine(response: Response) -> MachineReport:
        """What `streamapp doctor` finds, what really runs the models, and every model's licence."""
        response.headers.update(_NO_STORE)
        snapshot = runtime.models.residency.snapshot()

        def look() -> MachineReport:
            return MachineReport.of(runtime.models, snapshot, diagnose(runtime.settings, is_serving=True))

        async with looking:  # one look takes a second of a processor
            return await asyncio.to_thread(look)

    return router
