"""Programs for the room without a network: `python -m tests.silent_programs screen | infer | serve | demo | talk`."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress

import av
import httpx
import numpy as np
from PIL import Image

from streamapp.assets import asset
from streamapp.choices import Backend
from streamapp.settings import load_settings
from streamapp.zoo.registry import Registry, open_screener
from streamapp.zoo.session import SessionOptions, open_session

_TIMEOUT_S = 30


def screen() -> None:
    """Opens the configured screener, shows it the demo clip and closes it. Prints how many faces it saw."""
    screener = open_screener(load_settings())
    faces = 0
    with av.open(str(asset("recordings/demo.mp4"))) as clip:
        for index, picture in enumerate(clip.decode(video=0)):
            if index % 10 == 0:
                rgb = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
                faces += len(screener.screen(rgb, index / 30))
    screener.close()
    print(json.dumps({"variant": screener.variant, "faces": faces}))


def infer() -> None:
    """Opens a small net under the library whose name is in STREAMAPP_TEST_BACKEND and runs it. Prints what ran it."""
    settings = load_settings()
    registry = Registry.from_settings(settings)
    options = SessionOptions(backend=Backend(os.environ["STREAMAPP_TEST_BACKEND"]), warm_up=(1, 8))
    session = open_session(registry, registry.manifest.named("mtcnn-rnet"), options)
    session.run(np.zeros((3, 3, 24, 24), np.float32))
    print(json.dumps(session.providers))
    session.close()


def cluster() -> None:
    """As `serve`, with a worker and the models in a cluster of one machine that begins and ends with it."""
    command = [sys.executable, "-m", "streamapp", "cluster", "up", "--host", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as machine:
        try:
            assert machine.stdout is not None
            assert "the cluster is at" in machine.stdout.readline()
            serve("--cluster", "127.0.0.1:6379")
        finally:
            machine.send_signal(signal.SIGINT)
            print("left", machine.wait(_TIMEOUT_S))


def serve(*options: str) -> None:
    """Starts the server on a free port, asks it how it is, for its page and about a picture, and ends it as Ctrl-C
    would. The picture goes to the path in STREAMAPP_TEST_EXAMINE."""
    command = [sys.executable, "-m", "streamapp", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = next(word for line in server.stdout for word in line.split() if word.startswith("http://"))
            for path in ("/health", "/"):
                with urllib.request.urlopen(address.rstrip("/") + path, timeout=_TIMEOUT_S) as answer:
                    print(path, answer.status)
            path = os.environ["STREAMAPP_TEST_EXAMINE"]
            files = {"image": _demo_picture()}
            print(path, httpx.post(address.rstrip("/") + path, files=files, timeout=_TIMEOUT_S).status_code)
            server.send_signal(signal.SIGINT)
            print("ended", server.wait(_TIMEOUT_S))
        finally:
            server.kill()


def demo() -> None:
    """Starts the demo page alone, loads it as a browser would, has a picture examined through it, and ends it."""
    command = [sys.executable, "-m", "streamapp", "demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = next(word for line in server.stdout for word in line.split() if word.startswith("http://"))
            with httpx.Client(base_url=address.rstrip("/"), timeout=90, follow_redirects=True) as http:
                print("/", http.get("/").status_code)
                functions = http.get("/demo/config").json()["dependencies"]
                examine = next(f["id"] for f in functions if len(f["inputs"]) == 2 and len(f["outputs"]) == 4)
                call = {"data": ["example:two", "fast"], "fn_index": examine, "session_hash": "silent"}
                print("called", http.post("/demo/gradio_api/queue/join", json=call).status_code)
                with http.stream("GET", "/demo/gradio_api/queue/data?session_hash=silent") as events:
                    done = next(line for line in events.iter_lines() if "process_completed" in line)
                print("examined", "/demo/files/" in done)
            server.send_signal(signal.SIGINT)
            print("ended", server.wait(_TIMEOUT_S))
        finally:
            server.kill()


def _demo_picture() -> bytes:
    with av.open(str(asset("recordings/demo.mp4"))) as clip:
        rgb = next(clip.decode(video=0)).to_ndarray(format="rgb24")
    kept = io.BytesIO()
    Image.fromarray(rgb).save(kept, "PNG")
    return kept.getvalue()


def talk() -> None:
    """Does all that must be noticed."""
    with suppress(OSError):
        socket.getaddrinfo("positive-control.example", 443)
    for address in (("192.0.2.7", 443), ("2001:db8::7", 443)):
        with suppress(OSError):
            socket.create_connection(address, timeout=2).close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"anybody?", ("224.0.0.251", 5353))


if __name__ == "__main__":
    {"screen": screen, "infer": infer, "serve": serve, "cluster": cluster, "demo": demo, "talk": talk}[sys.argv[1]]()
