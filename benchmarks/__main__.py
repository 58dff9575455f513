"""Runs every benchmark, one after the other, and prints all figures against their goals.

`python -m benchmarks [--quick] [NAME...]`: an hour and a half; with --quick a few minutes, which prove nothing.
`python -m benchmarks --quote` runs nothing and puts the results of the last full runs into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import RESULTS, Figure, Report, figure_table, progress

DOCS = Path(__file__).parent.parent / "docs" / "benchmarks.md"
CLEAN_UP_S = 60.0
MARKER = "<!-- results: python -m benchmarks --quote -->"


@dataclass(frozen=True, slots=True)
class Script:
    """One figure's program. `limit_s` bounds it, whatever happens."""

    name: str
    command: tuple[str, ...]
    limit_s: float


SCRIPTS = (
    Script("scaling", ("benchmarks.pump", "--scaling"), 900),
    Script("pump", ("benchmarks.pump",), 600),
    Script("privacy", ("benchmarks.privacy",), 600),
    Script("webrtc", ("benchmarks.webrtc",), 1200),
    Script("webrtc_720p", ("benchmarks.webrtc", "--hd"), 1200),
    Script("sessions", ("benchmarks.sessions",), 2400),
    Script("models", ("benchmarks.models",), 900),
    Script("threads", ("benchmarks.threads",), 1200),
    Script("scheduler", ("benchmarks.scheduler",), 300),
    Script("hosting", ("benchmarks.hosting",), 300),
    Script("cluster", ("benchmarks.cluster",), 600),
    Script("escalation", ("benchmarks.escalation",), 1500),
    Script("capacity", ("benchmarks.capacity",), 900),
    Script("budgets", ("benchmarks.budgets",), 1500),
    Script("gallery", ("benchmarks.gallery",), 900),
    Script("identify", ("benchmarks.identify",), 600),
    Script("recording", ("benchmarks.recording",), 900),
    Script("rtsp", ("benchmarks.rtsp",), 1800),
    Script("soak", ("benchmarks.soak",), 2400),
    Script("image_soak", ("benchmarks.image_soak",), 2400),
)


def run(script: Script, *, quick: bool) -> list[Figure] | None:
    """The figures of one script; None if it failed."""
    progress(f"== {script.name}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "results.json" if quick else RESULTS / f"{script.name}.json"
        path.unlink(missing_ok=True)
        command = [sys.executable, "-m", *script.command, "--json", str(path), *(["--quick"] if quick else [])]
        try:
            _run_within(command, script.limit_s)
            report = Report.from_json(path.read_text("utf-8"))
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            progress(f"{script.name} failed: {error}")
            return None
    return list(report.figures)


def _run_within(command: Sequence[str], limit_s: float) -> None:
    """Raises subprocess.SubprocessError if it fails or takes too long; it may then end what it has started."""
    process = subprocess.Popen(command)
    try:
        code = process.wait(limit_s)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(CLEAN_UP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if code:
        raise subprocess.CalledProcessError(code, command)


def quote_results() -> None:
    """Replaces what follows the marker in docs/benchmarks.md by the results of the last full runs."""
    kept, marker, _ = DOCS.read_text("utf-8").partition(MARKER)
    paths = [RESULTS / f"{script.name}.json" for script in SCRIPTS]
    quoted = [Report.from_json(path.read_text("utf-8")).text() for path in paths if path.is_file()]
    DOCS.write_text("\n\n".join([kept + marker, *quoted]) + "\n", "utf-8")


def main() -> None:
    names = [script.name for script in SCRIPTS]
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description="Runs every benchmark.")
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"only these of: {' '.join(names)}")
    arguments.add_argument("--quick", action="store_true", help="short runs: shows that they work, proves nothing")
    arguments.add_argument("--quote", action="store_true", help=f"run nothing: put the results into {DOCS.name}")
    chosen = arguments.parse_args()
    if chosen.quote:
        quote_results()
        return
    unknown = set(chosen.names) - set(names)
    if unknown:
        arguments.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    failed: list[str] = []
    for script in SCRIPTS:
        if chosen.names and script.name not in chosen.names:
            continue
        found = run(script, quick=chosen.quick)
        if found is None:
            failed.append(script.name)
        else:
            figures += [Figure(f"{script.name}: {f.name}", f.value, f.unit, f.goal, f.met) for f in found]
    print(figure_table(figures).text())
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
