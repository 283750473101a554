"""Start a site in a temporary folder, measure beside it, stop it."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from benchmark.arguments import read_arguments
from benchmark.chats import CHATS, environment_of
from benchmark.pages import MIXED, PAGES
from benchmark.ports import free_port
from benchmark.stage import running_site
from benchmark.subjects import SUBJECTS
from dev.conditions import REPOSITORY
from dev.processes import CannotStart


def main() -> int:
    asked = read_arguments()
    if asked.only_list:
        for subject in SUBJECTS:
            print(f"{subject.name:16} {subject.about}")
        print("\nChats, beside the model server that answers them (--chat):")
        for chat in CHATS:
            print(f"{chat.name:16} {chat.about}")
        print("\nBeside checks, and by themselves (--beside):")
        for page in (MIXED, *PAGES):
            print(f"{page.name:16} {page.about}")
        return 0
    signal.signal(signal.SIGTERM, _end)
    try:
        if asked.clients:
            return subprocess.run(
                [sys.executable, "-m", "benchmark.connections", *sys.argv[1:]],
                cwd=REPOSITORY,
                check=False,
            ).returncode
        with tempfile.TemporaryDirectory(prefix="sansxel-bench-") as folder:
            print("Starting a site …", flush=True)
            more = environment_of(free_port()) if asked.only_chat else {}
            with running_site(Path(folder) / "data", more) as site:
                # A process of its own, because Django's settings look for running servers.
                what = "benchmark.bought" if asked.only_bought else "benchmark.rounds"
                return subprocess.run(
                    [sys.executable, "-m", what, *sys.argv[1:]],
                    cwd=REPOSITORY,
                    env=site.environment,
                    check=False,
                ).returncode
    except CannotStart as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything was stopped.", file=sys.stderr)
        return 130


def _end(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
