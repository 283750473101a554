"""Make sure that Python is new enough. Old ones must be able to read this file: no new syntax."""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
NAMES = ("python3.14", "python3.13", "python3.12", "python3.11")


def require() -> None:
    """Go on, or go on with a newer Python where there is one, or say in a sentence what to do."""
    speak_anywhere()
    if sys.version_info < OLDEST:
        for name in NAMES:
            program = shutil.which(name)
            if program and _is_new_enough(program):
                os.execv(program, [program, *sys.argv])
        sys.exit(
            f"sansxel needs Python 3.11 or newer, and this is {sys.version.split()[0]}. "
            f"Install a newer one, then run this again with it: python3.11 {sys.argv[0]}"
        )
    try:
        import ensurepip  # noqa: F401, PLC0415
        import venv  # noqa: F401, PLC0415
    except ImportError:
        sys.exit(
            "This Python cannot make virtual environments: its venv module is missing. "
            "On Debian and Ubuntu it is in a package of its own: apt install python3-venv"
        )


def speak_anywhere() -> None:
    """Let no terminal end us, or what we start: what it cannot show is a question mark there.

    Files are UTF-8 for all of it, whatever the language settings say.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="replace")
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    os.environ["PYTHONIOENCODING"] = encoding + ":replace"
    os.environ["PYTHONUTF8"] = "1"


def _is_new_enough(program: str) -> bool:
    check = f"import sys; sys.exit(sys.version_info < {OLDEST!r})"
    answer = subprocess.run([program, "-c", check], stderr=subprocess.DEVNULL, check=False)
    return answer.returncode == 0
