"""Plans of fleets as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from streamapp.capacity.fleet import FleetPlan


def fleet_table(plans: Sequence[FleetPlan]) -> Table:
    """One row a plan."""
    table = Table(
        *("cameras", "machines", "of", "GPUs", "cameras each", "queue age p95", "dropped", "analyses a second"),
        *("device load", "frame load", "breaks first", "a camera a month"),
    )
    for plan in plans:
        table.add_row(
            f"{plan.cameras:,}",
            f"{plan.machines:,}" + ("" if plan.simulated == plan.machines else f" ({plan.simulated} simulated)"),
            plan.machine,
            f"{plan.gpus:,}",
            str(plan.cameras_a_machine),
            f"{1e3 * plan.queue_age_p95_s:.0f} ms",
            f"{100 * plan.drop_share:.2f} %",
            f"{plan.analyses_per_s:,.0f}",
            f"{100 * plan.device_load:.0f} %",
            f"{100 * plan.frame_load:.0f} %",
            plan.breaks_first.value,
            f"{plan.price_a_camera_month:.2f}",
        )
    return table
