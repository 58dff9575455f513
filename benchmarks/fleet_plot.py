"""Draws docs/pictures/scaling.svg from the simulation: `python -m benchmarks.fleet_plot`. Needs matplotlib, which is in
the dependency group plots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report import progress
from streamapp.capacity.camera import Traffic
from streamapp.capacity.costs import read_costs
from streamapp.capacity.fleet import HOURS_A_MONTH, MAX_QUEUE_AGE_S, machine_limit
from streamapp.capacity.simulation import Scenario, simulate

TARGET = Path(__file__).parent.parent / "docs" / "pictures" / "scaling.svg"
SERIES = (("cpu", "light", "#0b7fab"), ("gpu", "light", "#c2571a"), ("gpu", "full", "#2e8540"))
"""Of a lightness that stands out on white and on black."""
GREY = "#808080"
SECONDS = 60.0
CAMERAS = (4, 12, 20, 28, 44)
FACES_PER_S = (0.1, 0.4, 1.0)
ONE_FACE = Traffic(faces_per_s=1.0)


def main() -> None:
    mpl.rcParams["svg.hashsalt"], mpl.rcParams["svg.fonttype"] = "streamapp", "none"
    mpl.rcParams["text.color"] = mpl.rcParams["axes.labelcolor"] = mpl.rcParams["axes.edgecolor"] = GREY
    mpl.rcParams["xtick.color"] = mpl.rcParams["ytick.color"] = GREY
    figure = Figure(figsize=(10, 4), layout="constrained")
    ages, prices = figure.subplots(1, 2)
    costs = read_costs()
    for machine, lineup, colour in SERIES:
        progress(f"{machine}, {lineup}")
        base = Scenario(costs, costs.machine_named(machine), costs.lineup_named(lineup), 1, ONE_FACE, SECONDS, "1")
        runs = [simulate(replace(base, cameras=cameras)) for cameras in CAMERAS]
        label = f"machine {machine}, models {lineup}"
        ages.plot(CAMERAS, [max(1.0, 1e3 * run.queue_age_p95_s) for run in runs], color=colour, marker="o", label=label)
        limits = [machine_limit(replace(base, traffic=Traffic(rate)))[0] for rate in FACES_PER_S]
        price = base.machine.price_an_hour * HOURS_A_MONTH
        prices.plot(FACES_PER_S, [price / limit for limit in limits], color=colour, marker="o", label=label)
    _finish(ages, "cameras on one machine, each with one new face a second", "queue age p95, ms")
    ages.axhline(1e3 * MAX_QUEUE_AGE_S, color=GREY, linestyle="--")
    ages.annotate("limit of a plan", (CAMERAS[2], 0.7e3 * MAX_QUEUE_AGE_S))
    _finish(prices, "new faces a second on each camera", "price of a camera a month (assumed prices)")
    prices.set_xscale("log")
    prices.legend(frameon=False, loc="upper left")
    figure.savefig(TARGET, transparent=True, metadata={"Date": None})
    progress(f"written to {TARGET}")


def _finish(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_yscale("log")
    axes.grid(color=GREY, alpha=0.25)


if __name__ == "__main__":
    main()
