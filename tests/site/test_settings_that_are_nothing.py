"""A setting is nothing when it is absent or empty, and never because of how it looks."""

from pathlib import Path

import pytest

from tests.site.test_settings import PRODUCTION, complaint, read

pytestmark = pytest.mark.slow

MAIL = {"EMAIL_HOST_USER": "account@example.com", "EMAIL_HOST_PASSWORD": "-secret"}


def test_a_password_that_begins_with_a_dash_stays_what_it_is(tmp_path: Path) -> None:
    more = {"MODEL_BASE_URL": "http://demo", "MODEL_API_KEY": "-key", "MODEL_NAME": "-"}
    found = read(tmp_path, {**PRODUCTION, **MAIL, **more}, *MAIL, *more)
    assert {name: found[name] for name in {**MAIL, **more}} == {**MAIL, **more}


@pytest.mark.parametrize("value", [None, "", "  "])
def test_absent_and_empty_are_the_same_nothing(tmp_path: Path, value: str | None) -> None:
    names = ["EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD", "MODEL_BASE_URL", "MODEL_API_KEY"]
    names += [
        "MODEL_NAME",
        "MODEL_IMAGE_NAME",
        "MODEL_VOICE_NAME",
        "SECRET_KEY_FALLBACKS",
        "CSRF_TRUSTED_ORIGINS",
        "PORT",
    ]
    given = {} if value is None else dict.fromkeys(names, value)
    found = read(tmp_path, {**PRODUCTION, **given}, *names)
    found.pop("inbox")
    assert found == {
        **dict.fromkeys(names, ""),
        "SECRET_KEY_FALLBACKS": [],
        "CSRF_TRUSTED_ORIGINS": [],
        "PORT": 8000,
    }


@pytest.mark.parametrize("value", [None, "", " "])
def test_development_has_its_hosts_whether_none_are_named_or_the_name_is_empty(
    tmp_path: Path, value: str | None
) -> None:
    given = {} if value is None else {"ALLOWED_HOSTS": value}
    found = read(tmp_path, {"SITE_URL": "http://192.0.2.7:8000", **given}, "ALLOWED_HOSTS")
    assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]", "192.0.2.7"]


def test_a_model_needs_a_name_once_it_has_an_address(tmp_path: Path) -> None:
    given = {"MODEL_BASE_URL": "http://127.0.0.1:11434/v1"}
    assert "MODEL_NAME is not set" in complaint(tmp_path, given)


@pytest.mark.parametrize("name", sorted(MAIL))
def test_half_a_log_in_for_mail_is_refused_by_name(tmp_path: Path, name: str) -> None:
    sentence = complaint(tmp_path, {**PRODUCTION, name: MAIL[name]})
    assert "EMAIL_HOST_USER and EMAIL_HOST_PASSWORD go together" in sentence
