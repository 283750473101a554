"""The checks of scripts/lint: run together, reported in order, with a summary at the end."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
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
    """A command that fails where something is wrong, and one that mends it where a tool can."""

    name: str
    command: list[str]
    mending: list[str] | None = None
    production: bool = False


def checks() -> list[Check]:
    module = [sys.executable, "-m"]
    ruff = [*module, "ruff"]
    djlint = [*module, "djlint", "--quiet", "templates"]
    # Jinja2's language, not Django's.
    sandbox = [*module, "djlint", "--profile", "jinja", "--quiet", "stripe_sandbox/hosted"]
    lua = [*module, "lua_rules"]
    lint_imports = str(Path(sys.executable).with_name("lint-imports"))
    manage = [sys.executable, "manage.py"]
    return [
        Check(
            "ruff check",
            [*ruff, "check", ".", *PROGRAMS],
            mending=[*ruff, "check", "--fix", ".", *PROGRAMS],
        ),
        Check(
            "ruff format",
            [*ruff, "format", "--check", ".", *PROGRAMS],
            mending=[*ruff, "format", ".", *PROGRAMS],
        ),
        Check("djlint format", [*djlint, "--check"], mending=[*djlint, "--reformat"]),
        Check("djlint", [*djlint, "--lint"]),
        Check(
            "djlint of the sandbox",
            [*sandbox, "--check", "--lint"],
            mending=[*sandbox, "--reformat"],
        ),
        Check("lua", lua, mending=[*lua, "--fix"]),
        Check("imports", [lint_imports, "--no-cache"]),
        Check("mypy", [*module, "mypy"]),
        Check("migrations", [*manage, "makemigrations", "--check", "--dry-run"]),
        Check(
            "production settings",
            [*manage, "check", "--deploy", "--fail-level", "WARNING"],
            production=True,
        ),
    ]


def chosen(names: Sequence[str]) -> list[Check]:
    """The checks of these names, or all."""
    known = {check.name: check for check in checks()}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"There is no check {unknown[0]!r}. These are: {', '.join(known)}.")
    return [known[name] for name in names or known]


def fix(check: Check) -> None:
    """Mend what the tool can mend, before it is checked."""
    if check.mending:
        subprocess.run(
            check.mending,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
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
    names = [argument for argument in sys.argv[1:] if argument != "--fix"]
    wanted = chosen(names)
    if "--fix" in sys.argv[1:]:
        for check in wanted:
            fix(check)
    began = time.monotonic()
    failed = []
    with tempfile.TemporaryDirectory() as data_dir:
        running = []
        for check in wanted:
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
    print(f"\nPassed: {', '.join(names) or f'all {len(running)} checks'} ({seconds:.0f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
