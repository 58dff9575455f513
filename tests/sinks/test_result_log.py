"""Results are kept in order, all of them, without their pictures."""

from __future__ import annotations

import asyncio

from streamapp.pipeline.mailbox import Mailbox
from streamapp.sinks.base import Output
from streamapp.sinks.result_log import ResultLog
from tests.pictures import output


async def test_every_result_is_kept_in_order() -> None:
    log, inbox = ResultLog(), Mailbox[Output](on_drop=lambda _: None)
    running = asyncio.ensure_future(log.run(inbox))
    outputs = [output(index) for index in range(20)]
    for one in outputs:
        await inbox.deliver(one)
    inbox.close()
    await running
    assert log.results == [one.result for one in outputs]
