"""`streamapp bench load | simulate`: what a running server carries, and how many machines a fleet of cameras needs.
Errors of ours are left to main()."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from pydantic import TypeAdapter
from rich.console import Console

from streamapp.errors import UsageError
from streamapp.faces import Mode

_PIPE_WIDTH = 200
MAX_STREAMS = 64
"""Of each kind."""
MAX_SECONDS = 600.0

bench_app = typer.Typer(help="How much a server carries, and how many machines a fleet needs.", no_args_is_help=True)


@bench_app.command()
def load(
    address: Annotated[str, typer.Argument(help="The running server: http://127.0.0.1:8000.")],
    webrtc: Annotated[
        int,
        typer.Option(min=0, max=MAX_STREAMS, help="Publishers like browsers, of 640x480 at 30 pictures a second."),
    ] = 0,
    rtsp: Annotated[int, typer.Option(min=0, max=MAX_STREAMS, help="Streams of the camera at --rtsp-url.")] = 0,
    rtsp_url: Annotated[str | None, typer.Option(help="rtsp://… of a camera, as the server reaches it.")] = None,
    clips: Annotated[int, typer.Option(min=0, max=MAX_STREAMS, help="Streams of the server's own demo clip.")] = 0,
    seconds: Annotated[float, typer.Option(min=1, max=MAX_SECONDS, help="How long to measure.")] = 20.0,
    mode: Annotated[Mode, typer.Option(help="How deep the streams are analysed.")] = Mode.FAST,
    elsewhere: Annotated[
        bool,
        typer.Option("--elsewhere", help="Server or camera are another machine, which may be put under load."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Open streams on a running server, measure, and end them again. A token is taken from STREAMAPP_TOKEN."""
    # WebRTC takes a second to load.
    from streamapp.capacity.load import put_load
    from streamapp.capacity.load_request import LoadRequest

    request = LoadRequest(address, webrtc, rtsp, rtsp_url, clips, seconds, mode, elsewhere)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(put_load(request))
    if json:
        typer.echo(report.to_json())
        return
    for table in report.tables():
        _console().print(table, markup=False)


@bench_app.command()
def simulate(
    cameras: Annotated[list[int] | None, typer.Option(min=1, help="How many; any number of times.")] = None,
    machine: Annotated[str, typer.Option(help="One of the machines in the costs.")] = "cpu",
    lineup: Annotated[str, typer.Option(help="One of the line-ups of models in the costs.")] = "light",
    faces_per_s: Annotated[float, typer.Option(min=0, max=10, help="New faces a second on each camera.")] = 0.1,
    stay_s: Annotated[float, typer.Option(min=0.1, help="How long a face stays on average.")] = 8.0,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Simulated time.")] = 60.0,
    seed: Annotated[str, typer.Option(help="Another one is another day.")] = "1",
    sample: Annotated[int, typer.Option(min=1, help="Simulate so many machines at most; they stand for all.")] = 4,
    costs: Annotated[Path | None, typer.Option(help="A file of costs in place of the app's own.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Everything as a JSON array.")] = False,
) -> None:
    """How many machines so many cameras need, at what price, and what breaks first: a simulation from measured costs
    that runs the app's own queue and keyframe policy. Default: 10, 1000 and 100000 cameras."""
    try:
        from streamapp.capacity.fleet import FleetPlan, plan_fleets
        from streamapp.capacity.fleet_table import fleet_table
        from streamapp.capacity.simulation import Scenario
    except ModuleNotFoundError as error:
        if error.name != "simpy":
            raise
        raise UsageError("the simulation needs simpy: pip install 'streamapp[capacity]'") from error
    from streamapp.capacity.camera import Traffic
    from streamapp.capacity.costs import OWN_FILE, read_costs

    known = read_costs(costs or OWN_FILE)
    base = Scenario(
        known, known.machine_named(machine), known.lineup_named(lineup), 1, Traffic(faces_per_s, stay_s), seconds, seed
    )
    plans = list(plan_fleets(base, tuple(cameras or (10, 1_000, 100_000)), sample))
    if json:
        typer.echo(TypeAdapter(list[FleetPlan]).dump_json(plans, indent=2).decode())
        return
    _console().print(fleet_table(plans), markup=False)
    for note in known.notes(base.lineup, base.machine):
        _console().print(note, markup=False)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)
