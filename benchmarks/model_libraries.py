"""ONNX Runtime and OpenVINO side by side, for benchmarks/threads.py."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.model_files import GRAPHS, filled_graph, real_weights
from benchmarks.report import Figure, Table, progress
from benchmarks.turns import blank, in_turns, opened
from streamapp.choices import Backend, Precision
from streamapp.errors import StreamappError
from streamapp.zoo.manifest import load_manifest
from streamapp.zoo.session import SessionOptions
from streamapp.zoo.spec import Task

REAL = (
    *("yolov8-lite-t-face", "yolov8-lite-t-face-nms-free", "mobilefacenet-insightface-y1", "mobilefacenet-foamliu"),
    *("mobileface-v2", "antispoof-bin-128", "minifasnet-v2", "genderage-v1", "mtcnn-onet"),
)
COLUMNS = ("fp32", "int8", "OpenVINO fp32", "OpenVINO bf16", "OpenVINO int8")


def int8_builder() -> Callable[..., bytes]:
    """`quantised` of models/build_int8.py."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
    builder: Callable[..., bytes] = importlib.import_module("build_int8").quantised
    return builder


def compare_libraries(folder: Path, rounds: int, *, full_size: bool) -> tuple[Table, list[Figure]]:
    """ONNX Runtime and OpenVINO, in full precision, bf16 and int8: one item, one thread."""
    quantised = int8_builder()
    names = (*REAL, *(GRAPHS if full_size else ()))
    openvino = SessionOptions(backend=Backend.OPENVINO)
    settings = {"fp32": SessionOptions()}
    if importlib.util.find_spec("openvino") is not None:
        settings |= {"OpenVINO fp32": openvino, "OpenVINO bf16": replace(openvino, precision=Precision.BF16)}
    rows, quicker = [], []
    for name in names:
        path = filled_graph(name, folder) if name in GRAPHS else real_weights(name)
        if path is None:
            continue
        progress(f"libraries: {name}")
        sessions = {label: opened(name, path, options) for label, options in settings.items()}
        given = blank(sessions["fp32"])
        noise = [np.random.default_rng(seed).standard_normal(given.shape).astype(np.float32) for seed in range(4)]
        small = folder / f"{name}.int8.onnx"
        dynamic = load_manifest().named(name).task is Task.DEEPFAKE
        small.write_bytes(quantised(path.read_bytes(), noise, dynamic=dynamic))
        for label, options in (("int8", SessionOptions()), ("OpenVINO int8", openvino)):
            if label == "int8" or "OpenVINO fp32" in settings:
                try:
                    sessions[label] = opened(name, small, options)
                except StreamappError as error:
                    progress(f"{name}, {label}: {error}")
        taken = in_turns({label: partial(session.run, given) for label, session in sessions.items()}, rounds)
        rows.append((name, *(taken[column].cpu_ms if column in taken else None for column in COLUMNS)))
        if "OpenVINO fp32" in taken:
            quicker.append(taken["fp32"].cpu_ms / taken["OpenVINO fp32"].cpu_ms)
        for session in sessions.values():
            session.close()
    notes = ("Processor time. int8 with ranges from noise says how fast, not how good: docs/adr/0007 says which hold.",)
    figures = [Figure("ONNX Runtime / OpenVINO in fp32, median", median(quicker), "times")] if quicker else []
    columns = ("variant", *(f"{column} (ms)" for column in COLUMNS))
    return Table("One item on one thread: ONNX Runtime and OpenVINO", columns, tuple(rows), notes), figures
