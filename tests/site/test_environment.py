"""Settings from the environment: typed, and loud about nonsense, by the variable's name."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import environment

NAME = "A_SETTING"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the variable."""
    return lambda value: monkeypatch.setenv(NAME, value)


def test_text_without_a_default_is_required() -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} is not set"):
        environment.text(NAME)


@pytest.mark.parametrize("blank", ["", "   ", "\n"])
def test_blank_text_is_as_good_as_none(given: Callable[[str], None], blank: str) -> None:
    given(blank)
    assert environment.text(NAME, "default") == "default"
    with pytest.raises(ImproperlyConfigured, match=NAME):
        environment.text(NAME)


def test_text_loses_the_space_around_it(given: Callable[[str], None]) -> None:
    given(" value\n")
    assert environment.text(NAME) == "value"


def test_one_of_a_few_words(given: Callable[[str], None]) -> None:
    assert environment.one_of(NAME, {"a", "b"}, "a") == "a"
    given("b")
    assert environment.one_of(NAME, {"a", "b"}, "a") == "b"
    given("prod")
    with pytest.raises(ImproperlyConfigured, match=rf"{NAME} is “prod”; it must be one of \['a'"):
        environment.one_of(NAME, {"a", "b"}, "a")


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("1", True), ("YES", True), ("on", True), ("true", True), ("0", False), ("off", False)],
)
def test_a_switch(given: Callable[[str], None], word: str, meaning: bool) -> None:
    given(word)
    assert environment.boolean(NAME, not meaning) is meaning


@pytest.mark.parametrize("word", ["ja", "2", "falsch", "-"])
def test_a_switch_is_yes_or_no(given: Callable[[str], None], word: str) -> None:
    given(word)
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} is “{word}”; it must be yes or no"):
        environment.boolean(NAME, True)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("many", "it must be a whole number"),
        ("1.5", "it must be a whole number"),
        ("0x10", "it must be a whole number"),
        ("0", "it must be from 1 to 10"),
        ("11", "it must be from 1 to 10"),
        ("-1", "it must be from 1 to 10"),
    ],
)
def test_a_whole_number_within_bounds(
    given: Callable[[str], None], value: str, sentence: str
) -> None:
    given(value)
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} is .*{sentence}"):
        environment.integer(NAME, 5, low=1, high=10)


def test_the_bounds_themselves_are_fine(given: Callable[[str], None]) -> None:
    for value in ("1", "10"):
        given(value)
        assert environment.integer(NAME, 5, low=1, high=10) == int(value)


def test_words_between_commas(given: Callable[[str], None]) -> None:
    given(" a.example, ,b.example,")
    assert environment.words(NAME) == ["a.example", "b.example"]


def test_an_address_loses_the_slash_at_its_end(given: Callable[[str], None]) -> None:
    given("https://sansxel.example/")
    assert environment.address(NAME) == "https://sansxel.example"


@pytest.mark.parametrize("value", ["sansxel.example", "ftp://sansxel.example", "https://", "//x"])
def test_an_address_is_http(given: Callable[[str], None], value: str) -> None:
    given(value)
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} is .*http"):
        environment.address(NAME)


def test_a_database_over_the_network() -> None:
    found = environment.database("postgresql://us%40er:p%2Fw@db.example:5433/name?sslmode=require")
    assert (found["USER"], found["PASSWORD"]) == ("us@er", "p/w")
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("db.example", "5433", "name")
    assert found["OPTIONS"] == {"sslmode": "require"}


def test_a_database_on_a_unix_socket() -> None:
    found = environment.database("postgresql://user@/name?host=%2Frun%2Fpostgres")
    assert (found["HOST"], found["NAME"], found["OPTIONS"]) == ("/run/postgres", "name", {})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://a@b/c",
        "postgresql://user@host",
        "db.sqlite3",
        "postgresql://user@host:port/name",
        "postgresql://user@[::1/name",
    ],
)
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL must read postgresql://"):
        environment.database(url)


def test_a_refused_database_does_not_print_its_password() -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        environment.database("mysql://user:hunter2@host/name")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("value", ["localhost:6379", "http://localhost", "memcached://x"])
def test_another_kind_of_store_is_refused(given: Callable[[str], None], value: str) -> None:
    given(value)
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} must begin with redis://"):
        environment.redis(NAME)


def test_addresses_of_running_services_are_read(tmp_path: Path) -> None:
    assert environment.running_services(tmp_path) == {}
    (tmp_path / "services.json").write_text('{"redis_url": "unix:///x"}')
    assert environment.running_services(tmp_path) == {"redis_url": "unix:///x"}
    (tmp_path / "services.json").write_text("{")
    with pytest.raises(ImproperlyConfigured, match=r"services\.json is damaged; delete it"):
        environment.running_services(tmp_path)


def test_secrets_are_made_once_and_read_by_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = environment.generated_secrets(folder, ["A", "B"])
    assert environment.generated_secrets(folder, ["A", "B"]) == made
    assert len({*made.values()}) == 2
    assert all(len(value) >= 48 for value in made.values())
    assert (folder / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_new_secret_joins_those_that_exist(tmp_path: Path) -> None:
    before = environment.generated_secrets(tmp_path, ["A"])
    after = environment.generated_secrets(tmp_path, ["A", "B"])
    assert after["A"] == before["A"]
    assert json.loads((tmp_path / "secrets.json").read_text()) == after
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_two_that_start_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(environment.generated_secrets, [tmp_path] * 2, [["A"]] * 2))
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("value", "leads_to"),
    [
        ("sales@example.com", "mailto:sales@example.com"),
        ("https://example.com/contact", "https://example.com/contact"),
    ],
)
def test_a_contact_is_written_to_or_opened(
    given: Callable[[str], None], value: str, leads_to: str
) -> None:
    assert environment.contact(NAME, "me@example.com") == "mailto:me@example.com"
    given(value)
    assert environment.contact(NAME, "me@example.com") == leads_to


@pytest.mark.parametrize(
    "value", ["sales", "http://example.com", "javascript:alert(1)", "a@b?cc=c@d", "a b@c"]
)
def test_a_contact_is_nothing_else(given: Callable[[str], None], value: str) -> None:
    given(value)
    with pytest.raises(ImproperlyConfigured, match=f"{NAME} is “{re.escape(value)}”"):
        environment.contact(NAME, "me@example.com")
