"""The contracts of pyproject.toml hold for modules that nobody has written yet."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dev.conditions import REPOSITORY

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
LAYERS = "Imports run one way"
API = "The API knows no Django and no models"
STRIPE = "Only billing.stripe_client speaks to Stripe"
LEDGER = "The ledger is changed by grants and the drain, and read through functions"
USED = "What was used is written and read by quotas alone"
PLACE = "Models are imported from the module that has them, which can be protected"
DRAIN = "Only tasks, and what must know every charge, drain"
# Packages that are no part of the site: they know nothing of ours.
ALONE = {
    "dev": "What starts and watches the site is no part of it",
    "stripe_sandbox": "The sandbox stands alone",
}


def configuration() -> dict[str, Any]:
    """What import-linter is told."""
    read = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, Any] = read["tool"]["importlinter"]
    return found


def contract(name: str) -> dict[str, Any]:
    """One contract."""
    (found,) = [each for each in configuration()["contracts"] if each["name"] == name]
    return dict(found)


def broken(folder: Path) -> set[str]:
    """The contracts that code in a folder breaks, by name."""
    checked = subprocess.run(
        [str(LINT_IMPORTS), "--no-cache"],
        cwd=folder,
        # Wide enough for every name in one line.
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = checked.stdout.splitlines()
    assert any(line.startswith("Contracts: ") for line in lines), checked.stdout + checked.stderr
    found = {line.removesuffix(" BROKEN") for line in lines if line.endswith(" BROKEN")}
    assert bool(checked.returncode) == bool(found)
    return found


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of everything that the contracts are about."""
    folder = tmp_path_factory.mktemp("code")
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    for package in configuration()["root_packages"]:
        for path in (REPOSITORY / package).rglob("*.py"):
            copy = folder / path.relative_to(REPOSITORY)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return folder


def test_the_code_as_it_is_breaks_none(code: Path) -> None:
    assert broken(code) == set()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import stripe", STRIPE),
        ("from stripe import StripeClient", STRIPE),
        ("from quotas.models.ledger import Boost", LEDGER),
        ("from quotas.models.ledger import CreditEntry", LEDGER),
        ("from quotas.models import ledger", LEDGER),
        ("from quotas.models.used import UsageRollup", USED),
        ("from quotas import models", PLACE),
        ("from quotas.usage import drain", DRAIN),
        ("from quotas.usage.drain import move_all", DRAIN),
        ("from quotas.usage import refusals", DRAIN),
    ],
)
def test_a_new_module_in_billing_may_not(code: Path, line: str, name: str) -> None:
    module = code / "billing" / "not_written_yet.py"
    module.write_text(f"{line}\n")
    try:
        assert broken(code) == {name}
    finally:
        module.unlink()


def test_every_package_of_ours_is_looked_at() -> None:
    packages = {path.parent.name for path in REPOSITORY.glob("*/__init__.py")}
    assert set(configuration()["root_packages"]) == packages


def test_every_package_of_ours_has_its_layer_or_stands_alone() -> None:
    layers = {name for layer in contract(LAYERS)["layers"] for name in layer.split(" | ")}
    packages = set(configuration()["root_packages"])
    assert layers | ALONE.keys() == packages
    for package, name in ALONE.items():
        assert packages - {package} <= set(contract(name)["forbidden_modules"])
    # Of what lies below it, the API knows the gate.
    above = {"config", "api", "billing", "gate"}
    assert layers - above <= set(contract(API)["forbidden_modules"])
