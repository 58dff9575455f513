"""Builds the image's stages where there is no container engine: each RUN, COPY and ENV of the Dockerfile, in a chroot.

    python -m deploy.build_in_chroot --target cpu --work /tmp/streamapp-image

Needs root and Debian's debootstrap. A folder per stage is left in WORK; `python -m deploy.run_in_chroot` runs the last.
What stands in for the base image is a minimal Debian of the same release, whose Python is the same minor version.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deploy.dockerfile_steps import Stage, Step, expanded, read_stages

CONTEXT = Path(__file__).parent.parent
RELEASE = "bookworm"
PACKAGES = "ca-certificates,python3,python3-venv"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOST_FILES = ("/etc/resolv.conf", "/etc/ssl/certs", "/etc/pip.conf")
"""Seen by RUN while building, never copied: how this machine reaches its package index."""


@dataclass
class Image:
    """A stage that is built: its files, and what its metadata came to be."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": SYSTEM_PATH})
    folder: str = "/"
    metadata: dict[str, Step] = field(default_factory=dict)


class Build:
    """Goes through stages, each at most once."""

    def __init__(self, stages: Mapping[str, Stage], work: Path) -> None:
        self._stages = stages
        self._work = work
        self._images: dict[str, Image] = {}

    def image(self, name: str) -> Image:
        """Raises subprocess.CalledProcessError if a step fails."""
        if name not in self._images:
            self._images[name] = self._build(self._stages[name]) if name in self._stages else self._base(name)
        return self._images[name]

    def _base(self, name: str) -> Image:
        root = self._work / "base"
        if not root.exists():
            partial = self._work / "base.partial"
            shutil.rmtree(partial, ignore_errors=True)
            command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(partial)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            partial.rename(root)
        print(f"{name}: Debian {RELEASE} in its place", flush=True)
        return Image(root)

    def _build(self, stage: Stage) -> Image:
        base = self.image(stage.base)
        for step in stage.steps:  # what it copies from is built before it
            if "from" in step.options:
                self.image(step.options["from"])
        root = self._work / stage.name
        if root.exists():
            shutil.rmtree(root)
        subprocess.run(["cp", "-a", str(base.root), str(root)], check=True)
        image = Image(root, dict(base.environment), base.folder, dict(base.metadata))
        for step in stage.steps:
            started_s = time.monotonic()
            self._do(step, image)
            print(
                f"{stage.name}: {step.instruction} {step.text[:90]}  {time.monotonic() - started_s:.1f} s", flush=True
            )
        return image

    def _do(self, step: Step, image: Image) -> None:
        match step.instruction:
            case "RUN":
                _run(step.text, image)
            case "COPY":
                self._copy(step, image)
            case "ENV":
                for word in step.words:
                    name, _, value = word.partition("=")
                    image.environment[name] = expanded(value, image.environment)
            case "WORKDIR":
                image.folder = step.text
                _inside(image, step.text).mkdir(parents=True, exist_ok=True)
            case "ARG" | "LABEL" | "EXPOSE" | "USER" | "STOPSIGNAL" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                image.metadata[step.instruction] = step
            case other:
                raise ValueError(f"what {other} does is not known here")

    def _copy(self, step: Step, image: Image) -> None:
        *sources, target = step.arguments
        place = _inside(image, str(PurePosixPath(image.folder, target)))
        origin = self.image(step.options["from"]).root if "from" in step.options else self._context()
        for source in sources:
            found = origin / source.lstrip("/")
            into = place / found.name if target.endswith("/") and found.is_file() else place
            into.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-aT", str(found), str(into)], check=True)
            owner = step.options.get("chown", "0:0" if "from" not in step.options else "")
            if owner:
                subprocess.run(["chown", "-R", owner, str(into)], check=True)

    def _context(self) -> Path:
        """The build context: tracked files that .dockerignore lets through."""
        context = self._work / "context"
        if not context.exists():
            for path in context_files():
                (context / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(CONTEXT / path, context / path)
        return context


def context_files() -> list[Path]:
    """Tracked files that .dockerignore lets through: its first line leaves everything out, the others bring back."""
    everything, *wanted = [
        line
        for line in (CONTEXT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith(("#", "**/__pycache__"))
    ]
    if everything != "*" or not all(line.startswith("!") for line in wanted):
        raise ValueError(".dockerignore is expected to leave out everything first, and then only to bring back")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CONTEXT, check=True, capture_output=True, text=True).stdout
    files = [Path(name) for name in listed.split("\0") if name]
    return [path for path in files if any(_covers(Path(line[1:]), path) for line in wanted)]


def _covers(pattern: Path, path: Path) -> bool:
    """Patterns are of whole paths, or of a folder."""
    return pattern in path.parents or (len(pattern.parts) == len(path.parts) and path.match(str(pattern)))


def _run(command: str, image: Image) -> None:
    script = f'mount -t proc proc "{image.root}/proc"\n'
    for name in HOST_FILES:
        if Path(name).exists():
            inside = image.root / name.lstrip("/")
            if not inside.exists():
                inside.mkdir(parents=True) if Path(name).is_dir() else inside.touch()
            script += f'mount --bind "{name}" "{inside}"\n'
    script += f'exec chroot "{image.root}" /usr/bin/env -i "$@" sh -c "cd {image.folder} && $STEP"'
    given = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    variables = [f"{name}={value}" for name, value in {**given, **image.environment, "HOME": "/root"}.items()]
    subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--propagation", "private", "sh", "-ec", script, "sh", *variables],
        check=True, env={**os.environ, "STEP": command}, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _inside(image: Image, path: str) -> Path:
    return image.root / path.lstrip("/")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--work", type=Path, required=True, help="An empty folder, with 10 GB to spare.")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    image = Build(read_stages(), given.work.resolve()).image(given.target)
    print(f"{given.target} is in {image.root}")


if __name__ == "__main__":
    main()
