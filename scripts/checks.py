"""Every check of scripts/lint: run together, reported in order, with a summary at the end."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).resolve().parents[1]
# Python without the ending by which ruff would find it.
PROGRAMS = [
    str(path.relative_to(REPOSITORY))
    for path in sorted((REPOSITORY / "scripts").iterdir())
    if path.is_file() and not path.suffix
]
# Where Python finds checks of our own.
PATH_TO_SCRIPTS = {"PYTHONPATH": str(REPOSITORY / "scripts")}


@dataclass(frozen=True)
class Check:
    name: str
    command: list[str]
    production: bool = False


def checks() -> list[Check]:
    module = [sys.executable, "-m"]
    lint_imports = str(Path(sys.executable).with_name("lint-imports"))
    manage = [sys.executable, "manage.py"]
    return [
        Check("ruff check", [*module, "ruff", "check", ".", *PROGRAMS]),
        Check("ruff format", [*module, "ruff", "format", "--check", ".", *PROGRAMS]),
        Check("djlint format", [*module, "djlint", "--check", "--quiet", "templates"]),
        Check("djlint", [*module, "djlint", "--lint", "--quiet", "templates"]),
        Check("lua", [*module, "lua_rules"]),
        Check("imports", [lint_imports, "--no-cache"]),
        Check("mypy", [*module, "mypy"]),
        Check("migrations", [*manage, "makemigrations", "--check", "--dry-run"]),
        Check(
            "production settings",
            [*manage, "check", "--deploy", "--fail-level", "WARNING"],
            production=True,
        ),
    ]


def fix() -> None:
    """Mend what the tools can mend, before it is checked."""
    module = [sys.executable, "-m"]
    for command in (
        ["ruff", "check", "--fix", "--quiet", ".", *PROGRAMS],
        ["ruff", "format", "--quiet", ".", *PROGRAMS],
        ["djlint", "--reformat", "--quiet", "templates"],
        ["lua_rules", "--fix"],
    ):
        subprocess.run(
            [*module, *command],
            stdout=subprocess.DEVNULL,
            env=os.environ | PATH_TO_SCRIPTS,
            check=False,
        )


def production_environment() -> dict[str, str]:
    """Production settings with throwaway secrets; nothing listens where they point."""
    return {
        "ENVIRONMENT": "production",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "KEY_PEPPERS": f"1:{secrets.token_urlsafe(48)}",
        "ALLOWED_HOSTS": "sansxel.example",
        "SITE_URL": "https://sansxel.example",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "EMAIL_HOST": "127.0.0.1",
        "STRIPE_SECRET_KEY": f"sk_live_{secrets.token_hex(24)}",
        "STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(24)}",
    }


def start(check: Check, *, data_dir: str, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a check, far from the caller's own servers, settings and data."""
    configured = {"ENVIRONMENT", "DATABASE_URL", "REDIS_URL"} | production_environment().keys()
    environment = {name: value for name, value in os.environ.items() if name not in configured}
    environment |= {"DATA_DIR": data_dir} | PATH_TO_SCRIPTS
    if check.production:
        environment |= production_environment()
    return subprocess.Popen(
        check.command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
    )


def main() -> int:
    os.chdir(REPOSITORY)
    if "--fix" in sys.argv[1:]:
        fix()
    began = time.monotonic()
    failed = []
    with tempfile.TemporaryDirectory() as data_dir:
        running = []
        for check in checks():
            output = tempfile.TemporaryFile()  # noqa: SIM115 - closed where it is read
            running.append((check, start(check, data_dir=data_dir, output=output), output))
        for check, process, output in running:
            good = process.wait() == 0
            print(f"{'✓' if good else '✗'} {check.name}", flush=True)
            with output:
                if not good:
                    failed.append(check.name)
                    output.seek(0)
                    print(output.read().decode(errors="replace").rstrip(), flush=True)
    seconds = time.monotonic() - began
    if failed:
        print(f"\nFailed: {', '.join(failed)} ({seconds:.0f} s).")
        return 1
    print(f"\nAll {len(running)} checks passed ({seconds:.0f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
