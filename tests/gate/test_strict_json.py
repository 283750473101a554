"""JSON is read fast, and exactly as a slower reader would that sees every name."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gate.service import strict_json
from gate.service.strict_json import NotJSON

texts = st.sampled_from(["", "key", "units", 'a"b', "\\", "é", "\u2028", "\0"]) | st.text(
    max_size=4
)
numbers = st.integers(-(10**6), 10**6) | st.sampled_from([2**63, -(2**63), 0.5, 1e300])
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


class Pairs(list[tuple[str, Any]]):
    """Members of an object, which may have one name twice."""


def written(value: Any, *, escaped: bool) -> str:
    """A value as JSON, doubled names and all."""
    if isinstance(value, Pairs):
        members = (
            f"{json.dumps(n, ensure_ascii=escaped)}: {written(v, escaped=escaped)}"
            for n, v in value
        )
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(one, escaped=escaped) for one in value) + "]"
    return json.dumps(value, ensure_ascii=escaped)


objects = st.recursive(
    st.lists(st.tuples(texts, values), max_size=4).map(Pairs),
    lambda inner: (
        st.lists(st.tuples(texts, inner), max_size=2).map(Pairs) | st.lists(inner, max_size=2)
    ),
    max_leaves=4,
)


def has_doubled(value: Any) -> bool:
    """Whether some object in it has a name twice."""
    if isinstance(value, Pairs):
        names = [name for name, _ in value]
        return len(set(names)) < len(names) or any(has_doubled(one) for _, one in value)
    return isinstance(value, list) and any(map(has_doubled, value))


@given(value=objects, escaped=st.booleans())
@example(value=Pairs([("key", 1), ("key", 1)]), escaped=True)
@example(value=[Pairs([("a", "b"), ("a", {})])], escaped=False)
def test_a_name_that_is_there_twice_never_gets_through(value: Any, escaped: bool) -> None:
    body = written(value, escaped=escaped).encode()
    if has_doubled(value):
        with pytest.raises(NotJSON, match="given twice"):
            strict_json.loads(body)
    else:
        assert strict_json.loads(body) == json.loads(body)


@given(value=values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert strict_json.loads(strict_json.dumps(value)) == value


@given(body=st.binary(max_size=12) | st.text('{}[]":,\\ un01tre', max_size=14).map(str.encode))
def test_noise_is_either_json_or_refused(body: bytes) -> None:
    try:
        expected = json.loads(body.decode(), parse_constant=None)
    except ValueError:
        with pytest.raises(NotJSON):
            strict_json.loads(body)
        return
    with contextlib.suppress(NotJSON):  # a name that is there twice
        assert strict_json.loads(body) == expected


@pytest.mark.parametrize("depth", [10, 200])
def test_nesting_is_read(depth: int) -> None:
    assert strict_json.loads(b"[" * depth + b"]" * depth) == json.loads("[" * depth + "]" * depth)


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(NotJSON, match="nested too deeply"):
        strict_json.loads(b"[" * 100_000 + b"]" * 100_000)


WRONG = [
    (b"", "not valid JSON at line 1, column 0: EOF while parsing a value."),
    (b'{\n "units": 1,\n}', "not valid JSON at line 3, column 1: trailing comma."),
    (b"\xef\xbb\xbf{}", "not valid JSON at line 1, column 1: expected value."),
    (b'["\xff"]', "not valid JSON at line 1, column 3: invalid unicode code point."),
    (b"[NaN]", "not valid JSON at line 1, column 2: expected value."),
    (b"[-Infinity]", "not valid JSON at line 1, column 3: invalid number."),
    (b"[1" + b"0" * 5_000 + b"]", "not valid JSON at line 1, column 4303: number out of range."),
    (b'["\\udc00"]', "holds half a character (of a surrogate pair) at line 1, column 8."),
    (b'["\\ud83d!"]', "holds half a character (of a surrogate pair) at line 1, column 9."),
    (b"[" * 300, "nested too deeply, at line 1, column 202."),
]


@pytest.mark.parametrize(("body", "sentence"), WRONG)
def test_people_are_told_what_is_wrong_and_where(body: bytes, sentence: str) -> None:
    with pytest.raises(NotJSON) as wrong:
        strict_json.loads(body)
    assert str(wrong.value).endswith(sentence)
    assert wrong.value.field == "body"


@pytest.mark.parametrize("name", ["units", "", "é", "a at line 1 column 2", 'a\\"b'])
def test_a_name_that_is_there_twice_is_named(name: str) -> None:
    with pytest.raises(NotJSON, match="is given twice, at line 2, column ") as doubled:
        strict_json.loads(f'{{"{name}": 1,\n"{name}": 2}}'.encode())
    assert doubled.value.field == name


def test_half_a_surrogate_pair_can_be_answered() -> None:
    value = {"text": "\ud83d"}
    assert json.loads(strict_json.dumps(value)) == value
