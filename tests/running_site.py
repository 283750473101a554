"""A whole site as scripts/run starts it: for journeys and for tests of the operation itself."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.patience import LONGEST_SECONDS

REPOSITORY = Path(__file__).resolve().parents[1]
# What the tests set for their own servers, or what a developer's shell may hold.
_FOREIGN = {
    *("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "DEBUG"),
    *("HOST", "SITE_URL", "FRONT_URL", "GATE_PORT", "GATE_SOCKET", "SITE_SOCKET", "SANDBOX_PORT"),
}

_MAKE_RICH_KEY = """
from uuid import uuid4
from django.utils import timezone
from accounts.models import User
from keys.issue import issue_api_key
from quotas import grants
user = User.objects.create_user("{name}@example.com", "correct horse battery staple")
_, text = issue_api_key(account=user.personal_account, name="{name}", submission=uuid4(), by=user)
grants.grant_credits(account=user.personal_account, credits=1_000_000, kind="grant",
                     at=timezone.now(), source_ref="test:{name}")
print(text)
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(data_dir: Path, port: int, **more: str) -> dict[str, str]:
    """Our environment without what is not meant for another site."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return {
        **kept,
        "DATA_DIR": str(data_dir),
        "PORT": str(port),
        "ENVIRONMENT": "development",
        **more,
    }


class RunningSite:
    """A supervisor that was started and can be listened to, asked and ended.

    behind: a command that becomes the supervisor, in a place of its own. named: what browsers call
    this machine. is_measured: whether its lines are noted where coverage is; each of its processes
    takes twice as long to start then, so that one site is enough.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        behind: Sequence[str] = (),
        named: str = "",
        is_measured: bool = False,
        **more: str,
    ) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.gate_port = free_port()
        self.address = f"http://{named or '127.0.0.1'}:{self.port}"
        if named:
            more = {"SITE_URL": self.address, **more}
        self._environment = environment(data_dir, self.port, GATE_PORT=str(self.gate_port), **more)
        if not is_measured:
            self._environment.pop("COVERAGE_FOLDER", None)
        self._printed = data_dir.parent / f"printed-{self.port}"
        with self._printed.open("wb") as output:
            self.process = subprocess.Popen(
                [*behind, sys.executable, "-m", "dev"],
                cwd=REPOSITORY,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def pid(self, name: str) -> int:
        """The number of a part's process, or 0 while it has none."""
        try:
            return int((self.data_dir / "run" / f"{name}.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return 0

    @property
    def printed(self) -> str:
        """What it has said so far."""
        return self._printed.read_text()

    @property
    def admin(self) -> tuple[str, str]:
        """E-mail address and password of the first admin, as printed at the first start."""
        email = re.search(r"^ +e-mail +(\S+@\S+)$", self.printed, re.MULTILINE)
        password = re.search(r"^ +password +(\S+) ", self.printed, re.MULTILINE)
        assert email, self.printed
        assert password, self.printed
        return email[1], password[1]

    def until(self, text: str, *, patience: float = LONGEST_SECONDS) -> None:
        """Wait until it has said something."""
        deadline = time.monotonic() + patience
        while text not in self.printed:
            assert self.process.poll() is None, f"It ended:\n{self.printed}"
            assert time.monotonic() < deadline, f"No {text!r} in:\n{self.printed}"
            time.sleep(0.05)

    def until_ready(self) -> None:
        """Wait until it serves; a first start makes a database and all that is in it."""
        self.until("Ctrl-C stops everything.", patience=2 * LONGEST_SECONDS)

    def manage(self, *arguments: str) -> str:
        """What manage.py prints beside it."""
        ended = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=REPOSITORY,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def rich_key(self, name: str) -> str:
        """The key of a new account that has credits enough for any test, of name@example.com."""
        program = _MAKE_RICH_KEY.format(name=name)
        return self.manage("shell", "-v", "0", "-c", program).splitlines()[-1]

    def status(self, path: str) -> int:
        """The status that a page answers with."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST_SECONDS)
        connection.request("GET", path)
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    def log(self, name: str) -> str:
        """The log of one of its processes."""
        return (self.data_dir / "logs" / f"{name}.log").read_text(errors="replace")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(LONGEST_SECONDS)

    def kill(self) -> None:
        """End it without asking."""
        self.process.kill()
        self.process.wait()
