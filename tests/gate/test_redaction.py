"""Keys, tokens and Stripe's secrets reach no log and no answer, whatever logs or quotes them."""

import io
import logging
import subprocess
import sys
import traceback
from collections.abc import Iterator

import pytest
from django.conf import settings

from dev.conditions import REPOSITORY
from gate.service import checking
from gate.service.http import Problem, json_object, request_id_of
from gate.terms import key_text, redaction

HANDLE = "AbCd1234"
# The same in every process that runs tests.
KEY = key_text._with_checksum(f"sk_{HANDLE}" + "Zx9" * 10 + "Zx")
TOKEN = key_text._with_checksum("svc_" + "Yw8" * 10 + "Yw")
STRIPE = [
    # In two parts each, so that nobody takes them for real ones.
    "sk_live_" + "51AbCdEfGhIjKl",
    "sk_test_" + "sandbox_AbC-dEf_GhI",
    "rk_live_" + "51AbCdEfGhIjKl",
    "whsec_" + "AbCd/EfGh+IjKl==",
]
SECRETS = [KEY, TOKEN, *STRIPE, "sk-proj-" + "AbCdEfGhIjKlMnOpQrSt"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["%s", "Not Found: /%s/", "“%s”", "a=%s&b", "{'key': '%s'}"])
def test_a_secret_is_taken_out_of_text(secret: str, around: str) -> None:
    redacted = redaction.redact(around % secret)
    assert "…" in redacted
    assert secret[12:24] not in redacted
    assert not redaction.holds_secret(redacted)


def test_what_helps_to_find_a_key_stays() -> None:
    """As the pages show it."""
    assert redaction.redact(f"/{KEY}?") == f"/sk_{HANDLE}…{KEY[-4:]}?"
    assert redaction.redact(TOKEN) == f"svc_…{TOKEN[-4:]}"
    assert redaction.redact(STRIPE[0]) == "sk_live_…"


@pytest.mark.parametrize("length", range(20, 49))
def test_a_part_of_a_key_is_a_secret_too(length: int) -> None:
    redacted = redaction.redact(KEY[:length])
    assert redacted == f"sk_{HANDLE}…"


def test_a_key_in_an_address_may_be_escaped() -> None:
    assert KEY[20:] not in redaction.redact("/x?key=" + KEY.replace("_", "%5F"))


def test_a_password_in_an_address_is_a_secret() -> None:
    assert redaction.redact("redis://me:hunter2@host:1/0") == "redis://me:…@host:1/0"


@pytest.mark.parametrize(
    "text", ["sk_…", "sk_short", "task_0123456789abcdef0123", "svc_…", "https://a.example:80/b@c"]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redaction.redact(text) == text


# --- logs -------------------------------------------------------------------------------------


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a handler writes that knows nothing of secrets."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    logger = logging.getLogger("sansxel.test")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


class Shy:
    """Something whose text cannot be made."""

    def __str__(self) -> str:
        raise ValueError(KEY)

    def __repr__(self) -> str:
        return f"<Shy {KEY}>"


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        (f"plain {KEY}", ()),
        ("as argument %s", (KEY,)),
        ("inside %r and %d", ({"key": KEY}, 7)),
        ("by name %(key)s", ({"key": KEY},)),
        ("an error: %s", (ValueError(f"no such key {KEY}"),)),
        ("in two parts %s%s", (KEY[:12], KEY[12:])),
        ("too many", (KEY,)),
        ("too few %s %s", (KEY,)),
        ("not a number %d", (KEY,)),
        ("no text %s", (Shy(),)),
    ],
)
def test_no_handler_gets_a_secret(
    written: io.StringIO,
    capfd: pytest.CaptureFixture[str],
    message: str,
    arguments: tuple[object, ...],
) -> None:
    logging.getLogger("sansxel.test").warning(message, *arguments)
    said = written.getvalue() + "".join(capfd.readouterr())
    assert "sansxel.test" in said
    assert KEY[12:] not in said


def test_no_traceback_holds_a_secret(written: io.StringIO) -> None:
    error = RuntimeError(f"worse {TOKEN}")
    error.__cause__ = ValueError(f"bad {KEY}")
    logging.getLogger("sansxel.test").error("it failed", exc_info=error)
    said = written.getvalue()
    assert "RuntimeError: worse svc_…" in said
    assert f"ValueError: bad sk_{HANDLE}…" in said
    assert KEY[12:] not in said
    assert TOKEN[5:] not in said


def test_what_holds_no_secret_is_logged_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("nothing secret")
    try:
        raise error
    except ValueError:
        logging.getLogger("sansxel.test").exception("%s of %d", error, 7)
    record = caplog.records[-1]
    assert record.args == (error, 7)
    assert record.exc_info is not None
    assert record.getMessage() == "nothing secret of 7"
    assert "".join(traceback.format_exception(error)).rstrip() in caplog.text


def test_an_access_log_keeps_its_arguments(caplog: pytest.LogCaptureFixture) -> None:
    """uvicorn's formatter takes them one by one."""
    with caplog.at_level("INFO"):
        logging.getLogger("uvicorn.access").info(
            '%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "GET", f"/?key={KEY}", "1.1", 200
        )
    assert caplog.records[-1].args == (
        "1.2.3.4:5",
        "GET",
        f"/?key=sk_{HANDLE}…{KEY[-4:]}",
        "1.1",
        200,
    )


# Each way in which one of our processes begins, and then logs to a handler of its own.
BEGINNINGS = {
    "a management command": "import django; django.setup()",
    "a worker": "import config.celery",
    "the beat": "import config.celery; config.celery.app.finalize()",
}


@pytest.mark.parametrize("begin", BEGINNINGS.values(), ids=BEGINNINGS)
def test_every_process_logs_without_secrets(begin: str) -> None:
    program = (
        f"{begin}\nimport logging, sys\n"
        "handler = logging.StreamHandler(sys.stdout)\n"
        "logging.getLogger('later').addHandler(handler)\n"
        f"logging.getLogger('later').warning('%s', {KEY!r})\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        env={"DJANGO_SETTINGS_MODULE": "config.settings", **_environment()},
    )
    assert f"sk_{HANDLE}…{KEY[-4:]}" in said.stdout
    assert KEY[12:] not in said.stdout + said.stderr


def _environment() -> dict[str, str]:
    return {"DATA_DIR": str(settings.DATA_DIR)}


def test_settings_cannot_name_a_handler_that_gets_secrets() -> None:
    """Records are made without secrets, so a handler needs no filter that could be forgotten."""
    assert settings.LOGGING_CONFIG == "gate.terms.redaction.configure"
    assert isinstance(logging.getLogRecordFactory(), redaction._RedactingFactory)
    before = logging.getLogRecordFactory()
    redaction.install()
    assert logging.getLogRecordFactory() is before


# --- answers ----------------------------------------------------------------------------------


def test_an_answer_quotes_no_secret() -> None:
    with pytest.raises(Problem) as raised:
        checking.read_check({"key": KEY, KEY: 1})
    body = raised.value.body()
    assert body.field == f"sk_{HANDLE}…{KEY[-4:]}"
    assert KEY not in str(body)
    with pytest.raises(Problem) as raised:
        json_object([], f'{{"{KEY}": 1, "{KEY}": 2}}'.encode())
    assert KEY not in str(raised.value.body())


def test_an_answer_quotes_no_novel() -> None:
    with pytest.raises(Problem) as raised:
        checking.read_check({"key": KEY, "x" * 10_000: 1})
    assert len(str(raised.value.body())) < 1_000


def test_a_key_is_no_request_id_to_give_back() -> None:
    assert request_id_of([(b"x-request-id", b"mine")]) == b"mine"
    for secret in (KEY, f"a-{KEY}", TOKEN):
        assert request_id_of([(b"x-request-id", secret.encode())]) != secret.encode()
