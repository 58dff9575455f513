"""A worker: `python -m streamapp.workers.program PARENT SETTINGS LISTENER LINK MODELS`.

Owns streams: decodes, screens, tracks, escalates to the models' process at the socket MODELS, and answers requests
about them, and pictures to be examined, on the socket LISTENER. What is not its own (gallery, events) it has from the
server at the other end of LINK. Says in a line of standard output that it is ready; its log goes to standard error.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop

from streamapp.errors import StreamappError
from streamapp.hosting.child import given_settings, tell_failed, tell_ready
from streamapp.hosting.process import shared_host
from streamapp.log import configure_logging
from streamapp.models import Models
from streamapp.runtime import Runtime
from streamapp.server.added_streams import AddedStreams
from streamapp.server.app import SignalledServer, create_worker_app
from streamapp.server.signalling import Signalling
from streamapp.settings import Settings
from streamapp.sources.child.confinement import die_with
from streamapp.tuning import tune_process
from streamapp.workers.home import Home

GRACE_S = 1

_log = logging.getLogger(__name__)


async def _run(settings: Settings, listener: socket.socket, link: socket.socket, models: Path) -> None:
    try:
        async with (
            Home.reached(settings, link) as home,
            Runtime.start(
                settings,
                at_work=Models.start(settings, shared_host(settings, models), home.identification),
                watch=home.watch,
            ) as runtime,
            Signalling.start(runtime) as signalling,
        ):
            streams = AddedStreams(runtime, home)
            home.answer_for(runtime, signalling)
            config = uvicorn.Config(
                create_worker_app(runtime, signalling, streams),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                proxy_headers=True,  # only the server can reach the socket
                forwarded_allow_ips="*",
                timeout_graceful_shutdown=GRACE_S,
            )
            async with asyncio.TaskGroup() as group:
                beginning = group.create_task(_begin(home, streams))
                await SignalledServer(config, on_ready=tell_ready, on_stop=signalling.close).serve(sockets=[listener])
                beginning.cancel()
    except* StreamappError as errors:
        tell_failed(errors)


async def _begin(home: Home, streams: AddedStreams) -> None:
    await home.begun.wait()
    await streams.restore()
    home.say_begun()


def main(parent: int, settings_descriptor: int, listener_descriptor: int, link_descriptor: int, models: Path) -> None:
    die_with(parent)
    settings = given_settings(settings_descriptor)
    configure_logging(settings.log, "INFO")
    tune_process()
    listener = socket.socket(fileno=listener_descriptor)
    listener.setblocking(False)
    link = socket.socket(fileno=link_descriptor)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, listener, link, models))


if __name__ == "__main__":
    first, second, third, fourth = map(int, sys.argv[1:5])
    main(first, second, third, fourth, Path(sys.argv[5]))
