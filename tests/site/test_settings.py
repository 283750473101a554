"""Production refuses to start with anything that only development may have."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "s" * 64,
    "KEY_PEPPERS": "1:" + "p" * 48,
    "ALLOWED_HOSTS": "sansxel.example",
    "SITE_URL": "https://sansxel.example",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
    "REDIS_URL": "redis://127.0.0.1:9/0",
    "EMAIL_HOST": "127.0.0.1",
    "STRIPE_SECRET_KEY": "sk_live_" + "0" * 24,
    "STRIPE_WEBHOOK_SECRET": "whsec_" + "0" * 24,
}
PRINT = """
import json, django
from django.conf import settings
from django.urls import get_resolver, reverse, NoReverseMatch
django.setup()
def known(name):
    try:
        return bool(reverse(name))
    except NoReverseMatch:
        return False
names = {names!r}
print(json.dumps({{
    "inbox": known("dev_inbox"), **{{name: getattr(settings, name, None) for name in names}}
}}))
"""

pytestmark = pytest.mark.slow


def read(tmp_path: Path, variables: dict[str, str], *names: str) -> dict[str, object]:
    """The settings as a fresh process sees them."""
    ended = _start(tmp_path, variables, names)
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, object] = json.loads(ended.stdout)
    return answer


def complaint(tmp_path: Path, variables: dict[str, str]) -> str:
    """The sentence with which a process refuses to start."""
    ended = _start(tmp_path, variables, ())
    assert ended.returncode != 0, "It started."
    last = ended.stderr.strip().splitlines()[-1]
    assert "ImproperlyConfigured" in last, ended.stderr
    return last


def _start(
    tmp_path: Path, variables: dict[str, str], names: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", PRINT.format(names=names)],
        cwd=REPOSITORY,
        env={
            **kept,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATA_DIR": str(tmp_path / "data"),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_production_is_strict(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        PRODUCTION,
        "DEBUG",
        "ACCOUNT_EMAIL_VERIFICATION",
        "ACCOUNT_DEFAULT_HTTP_PROTOCOL",
        "EMAIL_BACKEND",
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SECURE_SSL_REDIRECT",
        "SECURE_HSTS_SECONDS",
        "STRIPE_API_BASE",
        "ALLAUTH_TRUSTED_PROXY_COUNT",
        "ALLOWED_HOSTS",
    )
    assert found == {
        "inbox": False,
        "DEBUG": False,
        "ACCOUNT_EMAIL_VERIFICATION": "mandatory",
        "ACCOUNT_DEFAULT_HTTP_PROTOCOL": "https",
        "EMAIL_BACKEND": "accounts.mail_backend.OutboxBackend",
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 31_536_000,
        "STRIPE_API_BASE": None,
        "ALLAUTH_TRUSTED_PROXY_COUNT": 1,
        "ALLOWED_HOSTS": ["sansxel.example"],
    }


def test_production_makes_no_secrets(tmp_path: Path) -> None:
    read(tmp_path, PRODUCTION)
    assert not (tmp_path / "data" / "secrets.json").exists()


def test_development_needs_nothing_and_keeps_mail_in_the_inbox(tmp_path: Path) -> None:
    found = read(tmp_path, {}, "ACCOUNT_EMAIL_VERIFICATION", "EMAIL_BACKEND", "DEBUG")
    assert found == {
        "inbox": True,
        "ACCOUNT_EMAIL_VERIFICATION": "optional",
        "EMAIL_BACKEND": "dev.inbox.InboxBackend",
        "DEBUG": False,
    }
    assert (tmp_path / "data" / "secrets.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", sorted(PRODUCTION.keys() - {"ENVIRONMENT"}))
def test_nothing_that_matters_has_a_default_in_production(tmp_path: Path, name: str) -> None:
    without = {key: value for key, value in PRODUCTION.items() if key != name}
    assert name in complaint(tmp_path, without)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ENVIRONMENT", "prod", "ENVIRONMENT is “prod”"),
        ("DEBUG", "yes", "DEBUG shows settings and code to visitors"),
        ("ALLOWED_HOSTS", "*", "ALLOWED_HOSTS must name the hosts"),
        ("ALLOWED_HOSTS", "sansxel.example,*", "ALLOWED_HOSTS must name the hosts"),
        ("ALLOWED_HOSTS", " , ", "ALLOWED_HOSTS must name the hosts"),
        ("SITE_URL", "http://sansxel.example", "SITE_URL must begin with https://"),
        ("SITE_URL", "sansxel.example", "SITE_URL is “sansxel.example”"),
        ("KEY_PEPPERS", "1:short", "KEY_PEPPERS must read id:secret"),
        ("KEY_PEPPERS", "p" * 64, "KEY_PEPPERS must read id:secret"),
        ("KEY_PEPPERS", ":" + "p" * 64, "KEY_PEPPERS must read id:secret"),
        ("KEY_PEPPERS", "1:" + "s" * 64, "KEY_PEPPERS must not hold SECRET_KEY"),
        (
            "STRIPE_SECRET_KEY",
            f"sk_test_sandbox_{'0' * 16}",
            "The payment sandbox is not for production",
        ),
        ("STRIPE_SECRET_KEY", "pk_live_x", "STRIPE_SECRET_KEY must begin with sk_ or rk_"),
        ("STRIPE_WEBHOOK_SECRET", "secret", "STRIPE_WEBHOOK_SECRET must begin with whsec_"),
        ("DATABASE_URL", "sqlite:///db", "DATABASE_URL must read postgresql://"),
        ("REDIS_URL", "localhost", "REDIS_URL must begin with redis://"),
        ("WEBHOOKS_MAY_STAY_HERE", "yes", "WEBHOOKS_MAY_STAY_HERE lets customers ask"),
        ("OWN_NETWORKS", "203.0.113.1/24", "OWN_NETWORKS has “203.0.113.1/24”"),
        ("PORT", "80000", "PORT is 80000; it must be from 1 to 65535"),
        ("TRUSTED_PROXIES", "-1", "TRUSTED_PROXIES is -1"),
    ],
)
def test_nonsense_is_refused_by_name(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    assert sentence in complaint(tmp_path, {**PRODUCTION, name: value})


def test_a_host_of_everybody_is_refused_in_development_too(tmp_path: Path) -> None:
    assert "ALLOWED_HOSTS" in complaint(tmp_path, {"ALLOWED_HOSTS": "*"})


def test_no_complaint_prints_a_secret(tmp_path: Path) -> None:
    for name, value in (("KEY_PEPPERS", "1:hunter2"), ("STRIPE_WEBHOOK_SECRET", "hunter2")):
        assert "hunter2" not in complaint(tmp_path, {**PRODUCTION, name: value})


def test_half_of_what_another_site_knows_ours_by_is_a_mistake(tmp_path: Path) -> None:
    said = complaint(tmp_path, {**PRODUCTION, "GITHUB_CLIENT_ID": "x"})
    assert "GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET go together" in said


def test_the_admin_of_production_is_never_open_to_a_password_alone(tmp_path: Path) -> None:
    said = complaint(tmp_path, {**PRODUCTION, "ADMIN_NEEDS_SECOND_FACTOR": "no"})
    assert "ADMIN_NEEDS_SECOND_FACTOR" in said
    assert read(tmp_path, PRODUCTION, "ADMIN_NEEDS_SECOND_FACTOR")["ADMIN_NEEDS_SECOND_FACTOR"]
