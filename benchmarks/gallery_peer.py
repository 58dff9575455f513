"""Another search, timed in an environment of its own. benchmarks/gallery.py runs it and sends it numbers of queries.

    python -m venv benchmarks/.envs/search
    benchmarks/.envs/search/bin/pip install numpy faiss-cpu==1.15.1 usearch==2.26.6

`python gallery_peer.py faiss|usearch FOLDER`: FOLDER has people.npy and queries.npy, float32 rows of length 1.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Search = Callable[[np.ndarray], int]
"""The row most like a query."""
COUNT = 5


def faiss(people: np.ndarray) -> Search:
    import faiss

    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    index = faiss.IndexFlatIP(people.shape[1])
    index.add(people)
    return lambda query: int(index.search(query[None], COUNT)[1][0][0])


def usearch(people: np.ndarray) -> Search:
    from usearch.index import MetricKind, search

    threads = len(os.sched_getaffinity(0))
    return lambda query: int(search(people, query, COUNT, MetricKind.IP, exact=True, threads=threads).keys[0])


def main() -> None:
    folder = Path(sys.argv[2])
    queries = np.load(folder / "queries.npy")
    search = {"faiss": faiss, "usearch": usearch}[sys.argv[1]](np.load(folder / "people.npy"))
    search(queries[0])
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        found = search(queries[int(line)])
        print(json.dumps({"found": found, "taken_s": time.perf_counter() - start}), flush=True)


if __name__ == "__main__":
    main()
