"""What escalation costs the frames, how well the scheduler fills its lanes, and how calm what is shown is.

A live 720p30 camera in mode full against the same one in mode fast, in turns (benchmarks/live_frames.py); jobs as fast
as they are taken against the bare sessions on the same lanes (benchmarks/saturation.py); label changes per minute on
real videos before and after aggregation (benchmarks/flicker.py). The models are those of profile auto that are
installed or in ../shared/models.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import uvloop

from benchmarks.detectors import measured_settings
from benchmarks.flicker import measure_flicker
from benchmarks.live import linked_models
from benchmarks.live_frames import measure_live
from benchmarks.report import Figure, Options, Table, parser, publish
from benchmarks.saturation import measure_saturation
from streamapp.settings import Settings
from streamapp.tuning import tune_process


async def measure(settings: Settings, quick: bool, parts: Sequence[str]) -> tuple[list[Table], list[Figure]]:
    tables: list[Table] = []
    figures: list[Figure] = []
    for name, part in (("live", measure_live), ("saturation", measure_saturation), ("flicker", measure_flicker)):
        if name in parts:
            found = await part(settings, quick)
            tables += found[0]
            figures += found[1]
    return tables, figures


def main() -> None:
    arguments = parser("benchmarks.escalation", __doc__.splitlines()[0])
    parts = ("live", "saturation", "flicker")
    arguments.add_argument("--only", choices=parts, action="append", help="leave out the other parts")
    chosen = arguments.parse_args()
    tune_process()
    with linked_models(measured_settings()) as settings, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tables, figures = runner.run(measure(settings, chosen.quick, chosen.only or parts))
    publish("escalation", Options.of(chosen, partial=bool(chosen.only)), figures, tables)


if __name__ == "__main__":
    main()
