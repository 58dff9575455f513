"""What may be put under load, and what makes no sense."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamapp.capacity.load_request import LoadRequest
from streamapp.capacity.target import is_loopback
from streamapp.errors import UsageError
from streamapp.faces import Mode

HERE = LoadRequest(
    "http://127.0.0.1:8000",
    webrtc=1,
    rtsp=0,
    rtsp_url=None,
    clips=0,
    seconds=1,
    mode=Mode.FAST,
    elsewhere=False,
)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8000", "https://localhost", "http://[::1]:8000", "rtsp://127.9.9.9/a"]
)
def test_this_machine_is_known_by_any_of_its_names(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address", ["http://10.0.0.1", "http://0.0.0.0:8000", "http://", "nonsense", "http://192.0.2.1"]
)
def test_another_machine_is_not_taken_for_this_one(address: str) -> None:
    assert not is_loopback(address)


def test_another_machine_is_put_under_load_only_when_asked_to() -> None:
    HERE.check()
    there = replace(HERE, address="http://192.0.2.1:8000")
    with pytest.raises(UsageError, match="--elsewhere"):
        there.check()
    replace(there, elsewhere=True).check()


def test_a_camera_elsewhere_needs_the_same_and_its_password_is_not_shown() -> None:
    camera = replace(HERE, rtsp=1, rtsp_url="rtsp://admin:secret@192.0.2.1/live")
    with pytest.raises(UsageError, match="--elsewhere") as refused:
        camera.check()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (replace(HERE, webrtc=0), "no stream"),
        (replace(HERE, rtsp=2), "--rtsp-url"),
        (replace(HERE, rtsp=2, rtsp_url="http://127.0.0.1/"), "--rtsp-url"),
        (replace(HERE, address="127.0.0.1:8000"), "https://"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: LoadRequest, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        wrong.check()
