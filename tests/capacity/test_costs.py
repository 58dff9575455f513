"""The file of costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamapp.capacity.costs import OWN_FILE, Origin, read_costs
from streamapp.errors import UsageError
from streamapp.zoo.manifest import load_manifest


def test_every_lineup_and_machine_of_the_own_file_is_complete_and_says_where_its_figures_come_from() -> None:
    costs = read_costs()
    for lineup in costs.lineup:
        for machine in costs.machine:
            assert costs.notes(lineup, machine)
            costs.device_of(machine)
    assert all(cost.source for cost in costs.operation)
    assert all(device.source for device in costs.device)
    assert costs.stream.source
    assert all("benchmarks." in cost.source for cost in costs.operation if cost.origin is Origin.MEASURED)


def test_the_operations_are_models_of_the_manifest() -> None:
    known = {variant.name for variant in load_manifest().variants} | {"mtcnn-refinement"}
    assert {cost.name for cost in read_costs().operation} <= known


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    costs = read_costs()
    with pytest.raises(UsageError, match="there are cpu, gpu, gpu4"):
        costs.machine_named("mainframe")
    with pytest.raises(UsageError, match="there are light, full"):
        costs.lineup_named("heavy")


@pytest.mark.parametrize("text", ["nonsense", "[stream]\ncore_share = 1", OWN_FILE.read_text() + "\n[more]\nx = 1\n"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "costs.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="no file of costs"):
        read_costs(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_costs(tmp_path / "absent.toml")
