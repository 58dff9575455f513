from __future__ import annotations

from streamapp.scheduler.placement import DeviceView, Need, VariantCost, place

NEED = Need({"net": VariantCost(100, 2.0)}, run_s=0.1)


def device(
    name: str, *resident: str, delay_s: float = 0.0, free: int = 100, evictable: int = 0, healthy: bool = True
) -> DeviceView:
    return DeviceView(name, resident, delay_s, free, evictable, healthy)


def test_a_device_that_has_the_model_wins() -> None:
    assert place(NEED, [device("a"), device("b", "net", delay_s=1.9)]) == "b"


def test_a_queue_longer_than_the_load_loses() -> None:
    assert place(NEED, [device("a"), device("b", "net", delay_s=2.1)]) == "a"


def test_the_shorter_queue_wins_among_equals() -> None:
    assert place(NEED, [device("a", "net", delay_s=0.2), device("b", "net", delay_s=0.1)]) == "b"


def test_room_without_eviction_is_preferred() -> None:
    assert place(NEED, [device("a", free=0, evictable=100), device("b", delay_s=1.0)]) == "b"


def test_a_lost_device_or_one_without_room_is_never_chosen() -> None:
    assert place(NEED, [device("a", "net", healthy=False), device("b", free=50, evictable=49)]) is None
