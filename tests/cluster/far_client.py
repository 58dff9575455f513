"""Run beside a server, in its network namespace: `python -m tests.cluster.far_client URL SECONDS`.

Adds a stream, watches it for so long once it is analysed, and prints what it saw as JSON."""

from __future__ import annotations

import json
import sys
import time

import httpx

START_S = 60.0


def main(url: str, seconds: float) -> None:
    with httpx.Client(base_url=url, timeout=20) as http:
        added = http.post("/streams", json={"name": "door", "source": "demo", "mode": "full"})
        assert added.status_code == 201, added.text
        until_s = time.monotonic() + START_S
        while not _analysed(http):
            assert time.monotonic() < until_s, http.get("/streams/door").text
            time.sleep(0.2)
        before = http.get("/streams/door").json()
        time.sleep(seconds)
        after = http.get("/streams/door").json()
        status = http.get("/status").json()
    print(json.dumps({"before": before, "after": after, "memory": status["memory"], "jobs": status["jobs"]}))


def _analysed(http: httpx.Client) -> bool:
    tracks = http.get("/streams/door/tracks").json().get("tracks", [])
    return any({"identity", "liveness", "gender_age"} <= track["analyses"].keys() for track in tracks)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
