"""The same clip gives the same decisions on one machine and on three."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamapp.assets import asset
from streamapp.cluster.membership import joined
from streamapp.cluster_settings import ClusterSettings
from streamapp.faces import Mode
from streamapp.models import Models
from streamapp.replay.clip import open_clip
from streamapp.replay.run import replay
from streamapp.results import FrameResult
from streamapp.settings import Settings
from tests.cluster.machines import machines
from tests.replay.sessions import decisions, settings_of
from tests.weights import models_folder, need_full_mode

DEMO = asset("recordings/demo.mp4")


async def decided_on(settings: Settings, count: int) -> tuple[FrameResult, ...]:
    async with joined(settings) as member:
        assert member.machines == count
        at_work = Models.start(settings, member.models(settings))
        return (await replay(open_clip(DEMO), Mode.FULL, settings, None, at_work)).results


@pytest.mark.e2e
@pytest.mark.weights
@pytest.mark.timeout(300)
async def test_decisions_are_the_same_here_and_on_one_machine_and_on_three(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    need_full_mode()
    folder = tmp_path / "models"
    folder.mkdir()
    settings = settings_of(models_folder(folder))
    found = {0: (await replay(open_clip(DEMO), Mode.FULL, settings, None)).results}
    for count in (1, 3):
        with machines(tmp_path_factory.getbasetemp(), count) as nodes:
            cluster = ClusterSettings(address=nodes.address, token_file=nodes.secret)
            found[count] = await decided_on(settings.model_copy(update={"cluster": cluster}), count)
        await asyncio.sleep(0)
    assert len(found[0]) > 400
    assert decisions(found[1]) == decisions(found[0])
    assert decisions(found[3]) == decisions(found[0])
