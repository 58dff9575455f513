"""One result per line, all of them; a reader that goes away ends it quietly."""

from __future__ import annotations

import contextlib
import io
import os

from streamapp.pipeline.mailbox import Mailbox
from streamapp.results import FrameResult
from streamapp.sinks.base import Output
from streamapp.sinks.json_lines import JsonLines
from tests.pictures import output, track


async def test_a_line_reads_back_as_the_result_it_was() -> None:
    file = io.StringIO()
    inbox: Mailbox[Output] = Mailbox()
    written = output(3, track())
    inbox.offer(written)
    inbox.close()
    await JsonLines(file).run(inbox)
    (line,) = file.getvalue().splitlines()
    assert FrameResult.from_json(line) == written.result


async def test_a_closed_pipe_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    inbox: Mailbox[Output] = Mailbox()
    inbox.offer(output())
    file = os.fdopen(writing, "w")
    await JsonLines(file).run(inbox)
    with contextlib.suppress(BrokenPipeError):
        file.close()
