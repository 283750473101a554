"""OpenAI's client for JavaScript, of the version that is pinned beside this, where Node is."""

import fcntl
import shutil
import subprocess
from pathlib import Path

PACKAGE = Path(__file__).parent
_KEPT = PACKAGE.parents[2] / ".cache" / "openai-javascript"
_INSTALLED_WITHIN_SECONDS = 300


class CannotInstall(Exception):
    """There is no client; the message says why."""


def modules() -> Path:
    """The folder that Node finds it in; it is installed once. Raises CannotInstall."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise CannotInstall("there is no Node.js with npm here")
    _KEPT.mkdir(parents=True, exist_ok=True)
    with (_KEPT / "lock").open("w") as lock:
        # Tests run in several processes.
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install()
    return _KEPT / "node_modules"


def _install() -> None:
    pinned = (PACKAGE / "package-lock.json").read_bytes()
    # Written last, when all of it is there.
    mark = _KEPT / "installed"
    if mark.is_file() and mark.read_bytes() == pinned:
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PACKAGE / name, _KEPT)
    installed = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=_KEPT,
        capture_output=True,
        timeout=_INSTALLED_WITHIN_SECONDS,
        check=False,
    )
    if installed.returncode:
        raise CannotInstall("npm could not install OpenAI's client")
    mark.write_bytes(pinned)
