"""Runs an image that `build_in_chroot` built as compose.yaml would, and checks what it promises. Needs root.

    python -m deploy.run_in_chroot --image /tmp/streamapp-image/cpu

Read-only root, /tmp in memory, three folders as volumes, user 10001 without capabilities, network and process numbers
of its own. What it leaves out: limits of memory and processes, seccomp, the engine's own init, and published ports.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.dockerfile_steps import Step, read_stages

VOLUMES = ("/var/lib/streamapp", "/var/lib/streamapp/keys", "/var/lib/streamapp/models")
STARTS_WITHIN_S = 60.0
STOPS_WITHIN_S = 10.0
_AS_USER = "setpriv --reuid 10001 --regid 10001 --clear-groups --bounding-set -all --inh-caps -all --no-new-privs"


class Container:
    """An image with volumes. Commands in it are started, or run beside one that is."""

    def __init__(self, root: Path, volumes: Path, runtime: Sequence[Step]) -> None:
        self._root = root
        self._environment = ["PATH=/opt/streamapp/bin:/usr/local/bin:/usr/bin:/bin"]
        for step in runtime:
            if step.instruction == "ENV":
                self._environment += [word for word in step.words if not word.startswith("PATH=")]
        self._mounts = []
        for number, place in enumerate(VOLUMES):  # an empty named volume begins as what the image has there
            volume = volumes / str(number)
            subprocess.run(["cp", "-a", str(root / place.lstrip("/")), str(volume)], check=True)
            self._mounts.append(f'mount --bind "{volume}" "{root}{place}"')

    def start(self, *command: str) -> subprocess.Popen[str]:
        script = "\n".join(
            (
                f'mount --bind "{self._root}" "{self._root}"',
                f'mount -o remount,ro,bind "{self._root}"',
                f'mount -t tmpfs -o size=512m,mode=1777,nosuid,nodev,noexec tmpfs "{self._root}/tmp"',
                f'mount -t tmpfs -o size=512m,mode=1777 tmpfs "{self._root}/dev/shm"',
                *self._mounts,
                f'mount -t proc proc "{self._root}/proc"',
                "ip link set lo up",
                "echo 50000 50099 > /proc/sys/net/ipv4/ip_local_port_range",
                self._inside(),
            )
        )
        unshared = [
            "unshare",
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
        ]
        return subprocess.Popen(
            [*unshared, "sh", "-ec", f"hostname streamapp\n{script}", "sh", *command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def beside(self, running: subprocess.Popen[str], *command: str) -> subprocess.CompletedProcess[str]:
        """As `docker exec`."""
        entered = ["nsenter", "--target", str(first_process(running)), "--mount", "--pid", "--net"]
        return subprocess.run(
            [*entered, "sh", "-c", self._inside(), "sh", *command], capture_output=True, text=True, timeout=60
        )

    def _inside(self) -> str:
        """What shell commands end with: their arguments as a command in the container."""
        variables = " ".join(map(shlex.quote, self._environment))
        return f'exec chroot "{self._root}" env -i -C /var/lib/streamapp {variables} {_AS_USER} "$@"'


def first_process(running: subprocess.Popen[str]) -> int:
    """The container's process 1, as this machine numbers it."""
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    if not _wait(children.read_text, STARTS_WITHIN_S):
        raise RuntimeError("the container did not start")
    return int(children.read_text().split()[0])


class Report:
    """What was checked, line by line."""

    def __init__(self) -> None:
        self.failed = False

    def check(self, name: str, passed: bool, detail: object = "") -> None:
        self.failed |= not passed
        print(f"{'ok    ' if passed else 'FAILED'} {name}{f': {detail}' if detail != '' else ''}", flush=True)


def _wait(condition: Callable[[], object], within_s: float) -> bool:
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.2)
    return True


def check_all(container: Container, report: Report) -> None:
    refused = container.start("streamapp", "serve")
    told = refused.communicate(timeout=STARTS_WITHIN_S)[0]
    report.check(
        "without a token it refuses to start, and says the command", refused.returncode == 2, told.strip()[-160:]
    )

    created = container.start("streamapp", "token", "create", "--name", "check", "--scope", "view,operate,metrics")
    secret = created.communicate(timeout=STARTS_WITHIN_S)[0].splitlines()[0]
    report.check("a token is made into the keys volume", created.returncode == 0 and len(secret) > 20)

    server = container.start("streamapp", "serve")
    started_s = time.monotonic()
    health = ("python3", "/usr/local/lib/streamapp/healthcheck.py")
    up = _wait(lambda: server.poll() is None and container.beside(server, *health).returncode == 0, STARTS_WITHIN_S)
    report.check("HEALTHCHECK passes", up, f"after {time.monotonic() - started_s:.1f} s")

    status = Path(f"/proc/{first_process(server)}/status").read_text()
    fields = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.MULTILINE))
    report.check("it is user 10001", fields["Uid"].split() == ["10001"] * 4, fields["Uid"])
    report.check("without capabilities", {fields[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd")} == {"0" * 16})
    report.check("and gains none", fields["NoNewPrivs"] == "1")

    for place in ("/", "/opt/streamapp", "/usr/local/lib/streamapp", "/etc"):
        written = container.beside(server, "touch", f"{place}/written")
        report.check(f"{place} is read-only", "Read-only file system" in written.stderr)
    tools = container.beside(server, "sh", "-c", "command -v cc gcc ld make git hatchling").stdout.split()
    report.check("there are no build tools", not tools, " ".join(tools))

    def asked(path: str, token: str | None = None) -> str:
        program = f"""
import urllib.request, urllib.error
request = urllib.request.Request("http://streamapp:8000{path}".replace("streamapp:", "127.0.0.1:"),
    headers={{"Host": "streamapp:8000", "Authorization": "Bearer {token or ""}"}})
try:
    print(urllib.request.urlopen(request, timeout=10).read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""
        return container.beside(server, "python3", "-c", program).stdout

    report.check("/status needs a token", asked("/status").strip() == "401")
    report.check("/ready: the screening net is in the image", '"ready":true' in asked("/ready", secret))
    report.check(
        "Prometheus is answered by the container's name", "streamapp_uptime_seconds" in asked("/metrics", secret)
    )
    page = asked("/", secret)
    report.check("the page is there", "<title>" in page and "streamapp" in page)

    started_s = time.monotonic()
    os.kill(first_process(server), signal.SIGTERM)
    try:
        output = server.communicate(timeout=STOPS_WITHIN_S)[0]
        stopped = True
    except subprocess.TimeoutExpired:
        server.kill()
        output, stopped = server.communicate()[0], False
    took_s = time.monotonic() - started_s
    report.check("SIGTERM ends it, exit code 0", stopped and server.returncode == 0, f"after {took_s:.1f} s")
    if report.failed:
        print(output, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--image", type=Path, required=True, help="The folder that build_in_chroot named at its end.")
    root = parser.parse_args().image.resolve()
    volumes = Path(tempfile.mkdtemp(prefix="streamapp-volumes-"))
    report = Report()
    try:
        check_all(Container(root, volumes, read_stages()["runtime"].steps), report)
    finally:
        shutil.rmtree(volumes)
    sys.exit(report.failed)


if __name__ == "__main__":
    main()
