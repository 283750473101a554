"""The virtual environment that everything runs in: made once, repaired when it was interrupted."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

REPOSITORY = Path(__file__).resolve().parents[1]
RUN = "requirements-embedded.txt"
DEVELOP = "requirements-dev.txt"
# Who installs the first has installed the others: they are compiled to the same versions.
CONTAINS = {RUN: [RUN], DEVELOP: [DEVELOP, RUN]}


class CannotPrepare(Exception):
    """The environment cannot be made; the message is for whoever wanted it."""


def prepare(requirements: str) -> Path:
    """Return the Python of an environment in which `requirements` are installed."""
    # Relative paths mean the caller's folder, and we are about to leave it.
    for name in ("VENV", "DATA_DIR"):
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().absolute())
    os.chdir(REPOSITORY)
    try:
        return _Environment(requirements).ready()
    except CannotPrepare as error:
        sys.exit(f"✗ {error}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The next start makes the environment anew.")


def replace_by(python: Path, *arguments: str) -> NoReturn:
    """Become `python` with these arguments, so that signals reach it directly."""
    sys.stdout.flush()
    os.execv(python, [str(python), *arguments])


class _Environment:
    def __init__(self, requirements: str) -> None:
        self.folder = Path(os.environ.get("VENV") or REPOSITORY / ".venv")
        self.python = self.folder / "bin" / "python"
        self.requirements = requirements
        self.unfinished = self.folder / "unfinished"

    def ready(self) -> Path:
        if self._is_installed():
            return self.python
        with self._alone():
            # Another start may have made it while we waited.
            if not self._is_installed():
                self._make()
                self._install()
        return self.python

    def _stamp(self, requirements: str) -> Path:
        return self.folder / f"installed-{requirements}"

    def _fingerprint(self, requirements: str, version: str) -> bytes:
        wanted = hashlib.sha256((REPOSITORY / requirements).read_bytes()).hexdigest()
        return os.fsencode(f"{wanted} {version} {self.folder}\n")

    def _is_installed(self) -> bool:
        try:
            stamp = self._stamp(self.requirements).read_bytes()
        except OSError:
            return False
        version = self._version()
        return (
            bool(version)
            and not self.unfinished.exists()
            and stamp == self._fingerprint(self.requirements, version)
        )

    def _version(self) -> str:
        """The version that the environment's Python has and is set up for, or ""."""
        try:
            answer = subprocess.run(
                [self.python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return ""
        return answer if (self.folder / "lib" / f"python{answer}").is_dir() else ""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            lock = self.folder.with_name(f"{self.folder.name}.lock").open("w")
        except OSError as error:
            raise CannotPrepare(
                f"The environment {self.folder} cannot be made ({error.strerror}). "
                "Set VENV to a folder that can be written to."
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                print("Waiting for another start that makes the environment …", flush=True)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make(self) -> None:
        """Make the environment, unless there is a whole one that packages can be added to."""
        if self._version() and not self.unfinished.exists():
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            if not (self.folder / "pyvenv.cfg").exists() and not self.unfinished.exists():
                raise CannotPrepare(f"{self.folder} is in the way: it is no virtual environment.")
            shutil.rmtree(self.folder)
        print(f"Making the environment {self.folder} (only this once) …", flush=True)
        self.folder.mkdir(exist_ok=True)
        self.unfinished.touch()
        made = subprocess.run(
            [sys.executable, "-m", "venv", self.folder], capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise CannotPrepare(
                f"The environment could not be made:\n{(made.stdout + made.stderr).strip()}"
            )

    def _install(self) -> None:
        self.unfinished.touch()
        total = len(
            re.findall(r"^[a-z0-9].*==", (REPOSITORY / self.requirements).read_text(), re.MULTILINE)
        )
        # The file names every package with its hash: nothing to resolve, nothing to build.
        command: list[str | Path] = [
            *(self.python, "-m", "pip", "install", "--requirement", self.requirements),
            *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile"),
            *("--no-input", "--disable-pip-version-check", "--progress-bar", "off"),
        ]
        pip = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=_environment_of_pip(),
        )
        printed: deque[str] = deque(maxlen=200)
        progress = _Progress(total)
        assert pip.stdout is not None
        for line in pip.stdout:
            printed.append(line.rstrip())
            progress.read(line)
        progress.end()
        if pip.wait():
            errors = [line for line in printed if line.startswith("ERROR")]
            raise CannotPrepare(
                "The packages could not be installed. The first start needs a package index, "
                "usually over the network; later ones do not. pip says:\n"
                + "\n".join(errors or list(printed)[-10:])
            )
        # All at once here rather than by every process at its first start; some packages bring
        # files that are not meant for this Python, which is no failure.
        subprocess.run(
            [self.python, "-m", "compileall", "-q", "-j", "0", self.folder / "lib"],
            stdout=subprocess.DEVNULL,
            check=False,
        )
        version = self._version()
        for contained in CONTAINS[self.requirements]:
            self._stamp(contained).write_bytes(self._fingerprint(contained, version))
        self.unfinished.unlink()


class _Progress:
    """Counts packages as pip names them: in place on a terminal, a few lines elsewhere."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.seen = 0
        self.in_place = sys.stdout.isatty()

    def read(self, line: str) -> None:
        if line.startswith(("Collecting ", "Processing ", "Ignoring ", "Requirement already")):
            self.seen += 1
            if self.in_place:
                print(f"\rFetching packages: {self.seen} of {self.total}", end="", flush=True)
            elif self.seen == 1 or self.seen % 20 == 0:
                print(f"Fetching packages: {self.seen} of {self.total}", flush=True)
        elif line.startswith("Installing collected packages"):
            self.end()
            print("Installing packages …", flush=True)

    def end(self) -> None:
        if self.in_place and self.seen:
            print()
            self.seen = 0


def _environment_of_pip() -> dict[str, str]:
    """Ours, without what would lead pip elsewhere than into the environment."""
    misleading = {"PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIREMENT"}
    kept = {name: value for name, value in os.environ.items() if name not in misleading}
    return {**kept, "PIP_USER": "0", "PIP_ROOT_USER_ACTION": "ignore", "PYTHONUNBUFFERED": "1"}
