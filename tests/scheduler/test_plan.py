"""Plans for any budget, before anything is loaded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streamapp.choices import Profile
from streamapp.scheduler.costs import CostBook
from streamapp.scheduler.device_memory import HostMemory, NvidiaMemory
from streamapp.scheduler.plan import TASK_WEIGHTS, Fate, Plan, make_plan, variants_of
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.session import Device
from streamapp.zoo.spec import Task

MB = 1_000_000
MANIFEST = load_manifest()


def plan(budget_mb: int, profile: Profile = Profile.FULL, device: Device = Device.CPU) -> Plan:
    kind = HostMemory if device is Device.CPU else NvidiaMemory
    variants = {variant.name: variant for variant in MANIFEST.variants}
    costs = CostBook(variants, device="", load_overhead=kind.load_overhead, runtime="")
    return make_plan(
        variants_of(profile, MANIFEST, device, lambda _: False),
        costs.cost,
        profile=profile,
        device=device,
        budget_bytes=budget_mb * MB,
        reserve_bytes=128 * MB,
        context_bytes=kind.context_bytes,
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(512, 24576), st.sampled_from([Profile.FULL, Profile.LIGHT]), st.sampled_from(list(Device)))
def test_every_plan_fits_its_budget_and_names_every_variant_once(
    budget_mb: int, profile: Profile, device: Device
) -> None:
    found = plan(budget_mb, profile, device)
    names = [placement.variant for placement in found.placements]
    assert sorted(names) == sorted({v.name for v in variants_of(profile, MANIFEST, device, lambda _: False)})
    if found.of_fate(Fate.RESIDENT) or found.of_fate(Fate.SWAPS):
        assert found.needed_bytes <= budget_mb * MB
    for placement in found.of_fate(Fate.CANNOT_RUN):
        assert placement.peak_bytes + found.context_bytes + found.reserve_bytes > budget_mb * MB


@given(st.integers(512, 12000), st.integers(1, 12000))
@settings(max_examples=40, deadline=None)
def test_more_memory_never_runs_less(budget_mb: int, more_mb: int) -> None:
    small, large = plan(budget_mb), plan(budget_mb + more_mb)
    assert len(large.of_fate(Fate.CANNOT_RUN)) <= len(small.of_fate(Fate.CANNOT_RUN))


def test_in_the_budget_it_names_all_of_it_stays_resident() -> None:
    needed_mb = -(-plan(24576).everything_bytes // MB)
    assert not plan(needed_mb).of_fate(Fate.SWAPS)
    assert plan(needed_mb).largest_batch == 2
    assert plan(needed_mb - 700).of_fate(Fate.SWAPS)


def test_all_of_the_full_profile_fits_the_card_on_which_seven_services_do_not() -> None:
    found = plan(6000, device=Device.CUDA)
    assert {placement.fate for placement in found.placements} == {Fate.RESIDENT}
    assert found.largest_batch == 8
    assert found.needed_bytes < 6000 * MB


def test_what_every_keyframe_needs_stays_before_what_is_wanted_now_and_then() -> None:
    found = plan(1500)
    fates = {placement.task: placement.fate for placement in found.placements}
    assert fates[Task.DETECT] is fates[Task.LANDMARK] is Fate.RESIDENT
    assert fates[Task.DEEPFAKE] is Fate.SWAPS


def test_a_profile_cannot_run_where_a_task_has_no_model_that_fits() -> None:
    found = plan(700)
    assert found.tasks_without_model == (Task.DEEPFAKE,)
    assert "no room for any model for deepfake" in (found.lacks or "")
    members = [p.fate for p in found.placements if p.task is Task.RECOGNISE]
    assert Fate.CANNOT_RUN in members, "an ensemble does with what fits"
    assert plan(700, Profile.LIGHT).lacks is None
    assert plan(100, Profile.LIGHT).lacks


def test_frames_are_screened_on_the_processor_whatever_the_device() -> None:
    tasks = {placement.task for placement in plan(6000, device=Device.CUDA).placements}
    assert Task.SCREEN not in tasks
    assert set(TASK_WEIGHTS) - tasks == {Task.SCREEN}


def test_what_is_installed_is_planned_for_before_what_is_preferred() -> None:
    small = "yolov8n-face"
    found = variants_of(Profile.AUTO, MANIFEST, Device.CPU, lambda variant: variant.name == small)
    assert [variant.name for variant in found if variant.task is Task.DETECT] == [small]


def test_batches_become_smaller_before_a_model_has_to_swap() -> None:
    needed_mb = -(-plan(24576, device=Device.CUDA).everything_bytes // MB)
    found = plan(needed_mb - 60, device=Device.CUDA)
    assert found.largest_batch < 8
    assert not found.of_fate(Fate.SWAPS)
