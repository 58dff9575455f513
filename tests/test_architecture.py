"""The shape of the code: who may import whom, how long files are, and what may not appear at all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "streamapp"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("frame", "geometry", "faces", "findings", "results", "errors", "assets", "choices"),
    ("sections", "event_settings", "gallery_settings", "cluster_settings", "settings", "metrics", "log", "tuning"),
    ("sources", "zoo", "tracking", "gallery", "sinks", "access"),
    ("scheduler", "events"),
    ("pipeline",),
    ("identification", "hosting"),
    ("models", "planning", "recording"),
    ("enrolment",),
    ("runtime", "replay"),
    (
        *(
            "server",
            "workers",
            "demo",
            "cli",
            "cli_run",
            "cli_replay",
            "cli_models",
            "cli_gallery",
            "cli_enrolment",
            "cli_plan",
            "cli_live",
            "cli_token",
            "cli_bench",
            "cli_cluster",
            "capacity",
            "evaluation",
        ),
        *("cli_evaluate", "cli_evaluate_detection", "cli_evaluate_faces", "cli_evaluate_video"),
        *("cluster", "doctor", "settings_reference", "models_reference", "api_reference"),
    ),
)
"""Rooms from left to right; a module imports from its own room and from rooms of layers further left."""
MAY_MEET = (0, 1, 9)
"""Layers whose rooms may also import each other."""
PURE = ("choices", "tracking", "geometry", "faces", "findings", "results")
"""No I/O and no clock of their own."""
PURE_FILES = (
    *(f"gallery/{name}.py" for name in ("gate", "identity_votes", "identity_rules", "fusion", "search")),
    *(f"events/{name}.py" for name in ("visits", "outages", "search")),
    *("pipeline/schedule.py", "replay/differences.py", "scheduler/placement.py"),
)
IMPURE_MODULES = {"time", "socket", "threading", "asyncio", "os", "pathlib", "random", "logging", "subprocess"}
MAX_LINES = 300

MODULES = sorted(PACKAGE.rglob("*.py"))


def room(module: str) -> str:
    """`streamapp.sources.rtsp` is in the room `sources`."""
    return module.split(".")[1] if "." in module else ""


def layer(name: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if name in names)


def imported(path: Path) -> set[str]:
    """Full names of the modules a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "streamapp":
                names.update(f"streamapp.{alias.name}" for alias in node.names)
            else:
                names.add(node.module)
    return names


def own_room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def violations(path: Path, imports: set[str]) -> list[str]:
    """What a file imports although its layer may not."""
    own = own_room(path)
    if own in ("__init__", "__main__", "_version"):
        return []
    found = []
    for name in imports:
        other = room(name) if name.startswith("streamapp.") else ""
        if not other or other in (own, "__version__"):
            continue
        left = layer(other) < layer(own)
        sideways = layer(other) == layer(own) and layer(own) in MAY_MEET
        if not (left or sideways):
            found.append(f"{path.relative_to(PACKAGE)} imports {name}")
    return found


def test_every_room_has_a_layer() -> None:
    rooms = {own_room(path) for path in MODULES} - {"__init__", "__main__"}
    assert rooms <= {name for names in LAYERS for name in names}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_only_from_their_left(path: Path) -> None:
    assert violations(path, imported(path)) == []


def test_an_import_from_the_right_is_noticed() -> None:
    assert violations(PACKAGE / "sources" / "rtsp.py", {"streamapp.pipeline.pump"})
    assert violations(PACKAGE / "sources" / "rtsp.py", {"streamapp.sinks.base"})
    assert not violations(PACKAGE / "sources" / "rtsp.py", {"streamapp.frame", "streamapp.sources.base"})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("name", PURE_FILES)
def test_decisions_have_no_clock_and_no_io(name: str) -> None:
    assert not {module.split(".")[0] for module in imported(PACKAGE / name)} & IMPURE_MODULES


@pytest.mark.parametrize("name", PURE)
def test_pure_rooms_have_no_clock_and_no_io(name: str) -> None:
    files = [path for path in MODULES if own_room(path) == name]
    assert files
    for path in files:
        assert not {module.split(".")[0] for module in imported(path)} & IMPURE_MODULES, path


def test_aiortc_privates_are_touched_in_one_file_only() -> None:
    touching = [path.name for path in MODULES if "_RTCRtp" in path.read_text()]
    assert touching in ([], ["aiortc_timing.py"])


def test_no_torch_at_run_time_and_pickle_only_between_processes_of_the_app() -> None:
    for path in MODULES:
        roots = {module.split(".")[0] for module in imported(path)}
        unwanted = {"torch", "dill", "joblib"}
        if path.relative_to(PACKAGE) != Path("hosting/messages.py"):
            unwanted.add("pickle")
        assert not roots & unwanted, path
