"""Standard error stays clean when models open, and nothing that matters is lost."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from streamapp.zoo.native_log import CHATTER, without_chatter
from tests.weights import SHORT_RANGE, weights_of


def test_only_known_chatter_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before\n")
    with without_chatter():
        os.write(2, b"E0000 an error\n" + CHATTER[0] + b"\nW0000 file.cc:114] " + CHATTER[2] + b"\nunfinished")
    os.write(2, b" after\n")
    assert capfd.readouterr().err == "before\nE0000 an error\nunfinished after\n"


def test_an_exception_passes_and_standard_error_works_again(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"said before it\n")
    with pytest.raises(ValueError, match="inside"), without_chatter():
        raise ValueError(f"inside, after {os.write(2, b'said in it')} bytes")
    os.write(2, b"\n")
    os.write(2, b"said after it\n")
    assert capfd.readouterr().err == "said before it\nsaid in it\nsaid after it\n"


def test_a_closed_standard_error_does_no_harm() -> None:
    program = """
import os
from streamapp.zoo.native_log import without_chatter
os.close(2)
with without_chatter():
    print("in")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "in\n")


@pytest.mark.weights
@pytest.mark.parametrize(
    "screener", ["blazeface_litert.LiteRtScreener", "mediapipe_face.MediaPipeScreener"], ids=["litert", "mediapipe"]
)
def test_nothing_is_said_when_all_is_well(screener: str) -> None:
    module, name = screener.split(".")
    program = f"""
import sys, numpy
from streamapp.zoo.{module} import {name}
for _ in range(2):
    screener = {name}(sys.argv[2], open(sys.argv[1], "rb").read(), min_score=0.5)
    screener.screen(numpy.zeros((48, 64, 3), numpy.uint8), 0.0)
    screener.close()
"""
    variant, weights = weights_of(*SHORT_RANGE)
    done = subprocess.run(
        [sys.executable, "-c", program, str(weights), variant.name],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
