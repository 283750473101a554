"""The API reference as pages show it: made of the OpenAPI documents, which are made of the shapes.

Nothing is said here that the documents do not say, but examples; those are held to the shapes by
tests.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from api.openapi import DOCUMENT as PUBLIC
from config.reference_examples import ANSWERED, ASKED
from gate.service.openapi import DOCUMENT as GATE

Schema = Mapping[str, Any]

_SCHEMAS = "#/components/schemas/"
_NULL = {"type": "null"}
# Queries of what takes parameters.
_QUERIES = {"/api/v1/usage": "?span=4weeks&by=model"}
_OF_PATHS = {"{name}": "sansxel-chat", "{id}": "17"}
# Headers that show who asks, by the kinds of security of the documents.
_SECURITY = {
    "apiKey": "Authorization: Bearer $SANSXEL_KEY",
    "serviceToken": "Authorization: Bearer $QUOTA_TOKEN",
    "gatewayToken": "X-Quota-Service-Token: $QUOTA_TOKEN",
    "customerKey": "Authorization: Bearer $SANSXEL_KEY",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A member, parameter or header. kind: in words; shapes: those it is or holds, if any."""

    name: str
    kind: str
    shapes: tuple[str, ...]
    bounds: str
    pattern: str
    choices: tuple[str, ...]
    is_required: bool
    default: str
    says: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One status that is answered. shapes: what it holds; kinds: of content."""

    status: str
    says: str
    kinds: tuple[str, ...]
    shapes: tuple[str, ...]
    headers: tuple[str, ...]

    @property
    def has_rate(self) -> bool:
        """Whether it says what is left."""
        return "RateLimit" in self.headers

    @property
    def own_headers(self) -> tuple[str, ...]:
        """Those beside what is left."""
        return tuple(name for name in self.headers if "RateLimit" not in name)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. answers: also errors that are not of every path, or every body."""

    anchor: str
    method: str
    path: str
    summary: str
    says: str
    parameters: tuple[Member, ...]
    body: tuple[Member, ...]
    has_errors_of_bodies: bool
    answers: tuple[Answer, ...]
    request: str
    answer: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What is sent or answered in several places."""

    name: str
    says: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """One document. errors: what every path may answer; errors_of_bodies: where a body is sent."""

    title: str
    says: str
    document_path: str
    operations: tuple[Operation, ...]
    errors: tuple[Answer, ...]
    errors_of_bodies: tuple[Answer, ...]
    headers: tuple[tuple[str, str], ...]
    shapes: tuple[Shape, ...]


@lru_cache(maxsize=2)
def of_public_api(base_url: str) -> Reference:
    """What customers ask. base_url: of examples."""
    return _reference(PUBLIC, "/api/v1/openapi.json", base_url)


@lru_cache(maxsize=2)
def of_quota_check(base_url: str) -> Reference:
    """What API servers and gateways ask. base_url: of examples."""
    return _reference(GATE, "/quota/v1/openapi.json", base_url)


def _reference(document: Mapping[str, Any], document_path: str, base_url: str) -> Reference:
    read = _Reader(document, base_url)
    operations = tuple(read.operations())
    return Reference(
        title=document["info"]["title"],
        says=document["info"]["description"],
        document_path=document_path,
        operations=operations,
        errors=read.common,
        errors_of_bodies=read.of_bodies,
        headers=tuple(read.headers()),
        shapes=tuple(read.shapes()),
    )


class _Reader:
    """Reads one document."""

    def __init__(self, document: Mapping[str, Any], base_url: str) -> None:
        self._document = document
        self._base_url = base_url
        self._schemas: Mapping[str, Schema] = document["components"]["schemas"]
        operations = [one for *_, one in self._each()]
        self.common = self._shared(operations)
        # Those with a tag are of another kind, and say their errors themselves.
        with_body = [one for one in operations if "requestBody" in one and "tags" not in one]
        self.of_bodies = tuple(e for e in self._shared(with_body) if e not in self.common)

    def _each(self) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
        """Path, method, what is said of the path, and of the method."""
        for path, item in self._document["paths"].items():
            seen: list[object] = []
            for method in ("get", "post", "patch"):
                operation = item.get(method)
                # Two methods that do the same stand there once.
                told = operation and {**operation, "operationId": None}
                if told and told not in seen:
                    seen.append(told)
                    yield path, method, item, operation

    def operations(self) -> Iterator[Operation]:
        """Every method of every path."""
        for path, method, item, one in self._each():
            asked = one.get("requestBody", {}).get("content", {}).get("application/json", {})
            shape = _name_of(asked.get("schema", {}))
            answers = tuple(self._answers(one))
            is_alike = bool(shape) and "tags" not in one
            alike = [
                other.upper()
                for other in ("get", "post", "patch")
                if {**item.get(other, {}), "operationId": None} == {**one, "operationId": None}
            ]
            yield Operation(
                # What refers to the shape of a body finds it at its path.
                anchor=shape or one["operationId"],
                method=", ".join(alike),
                path=path,
                summary=one["summary"],
                says=one.get("description", ""),
                parameters=tuple(
                    self._member(
                        parameter["name"],
                        {**parameter["schema"], "description": parameter.get("description", "")},
                        is_required=parameter.get("required", False),
                    )
                    for parameter in (*item.get("parameters", ()), *one.get("parameters", ()))
                ),
                body=tuple(self._members(self._schemas[shape])) if shape else (),
                has_errors_of_bodies=is_alike,
                answers=tuple(
                    answer
                    for answer in answers
                    if answer not in self.common and not (is_alike and answer in self.of_bodies)
                ),
                request=self._example(path, method, one, shape),
                answer=_example_answer(answers),
            )

    def shapes(self) -> Iterator[Shape]:
        """What answers hold. What is asked stands with its path."""
        asked = {
            _name_of(one["requestBody"]["content"]["application/json"]["schema"])
            for *_, one in self._each()
            if "requestBody" in one
        }
        for name, schema in self._schemas.items():
            # What is asked in one place only stands there.
            if name not in asked:
                yield Shape(
                    name=name,
                    says=schema.get("description", ""),
                    members=tuple(self._members(schema)),
                )

    def headers(self) -> Iterator[tuple[str, str]]:
        """What answers say in their heads, and what it means."""
        found: dict[str, str] = {}
        for *_, one in self._each():
            for answer in one["responses"].values():
                for name, header in answer.get("headers", {}).items():
                    found.setdefault(name, header["description"])
        yield from sorted(found.items())

    def _shared(self, operations: Sequence[Mapping[str, Any]]) -> tuple[Answer, ...]:
        errors = [
            {one for one in self._answers(each) if one.status >= "300"} for each in operations
        ]
        return tuple(sorted(set.intersection(*errors), key=lambda one: one.status))

    def _answers(self, operation: Mapping[str, Any]) -> Iterator[Answer]:
        for status, answer in sorted(operation["responses"].items()):
            content = answer.get("content", {})
            names = [_name_of(one["schema"]) for one in content.values()]
            yield Answer(
                status=status,
                says=answer["description"],
                kinds=tuple(kind for kind in content if "problem" not in kind),
                shapes=tuple(name for name in dict.fromkeys(names) if name not in {"", "Problem"}),
                headers=tuple(answer.get("headers", ())),
            )

    def _members(self, schema: Schema, within: str = "") -> Iterator[Member]:
        """The members of an object, those of objects in it by the way that leads there."""
        required = schema.get("required", ())
        for name, member in schema.get("properties", {}).items():
            way = f"{within}{name}"
            yield self._member(way, member, is_required=name in required)
            inner, step = (member["items"], "[].") if "items" in member else (member, ".")
            yield from self._members(inner, f"{way}{step}")

    def _member(self, name: str, schema: Schema, *, is_required: bool) -> Member:
        options = [one for one in _options(schema) if one != _NULL]
        may_be_null = len(options) < len(list(_options(schema))) or "null" in _types(schema)
        kinds = list(dict.fromkeys(kind for one in options if (kind := _kind(one))))
        if may_be_null and is_required:
            kinds.append("null")
        default = schema.get("default")
        return Member(
            name=name,
            kind=" or ".join(kinds),
            shapes=tuple(dict.fromkeys(shape for one in options for shape in _shapes(one))),
            bounds="; ".join(bound for one in options if (bound := _bounds(one))),
            pattern=next(
                (one["pattern"].replace("(?!\\n)", "") for one in options if "pattern" in one), ""
            ),
            choices=tuple(str(choice) for one in options for choice in one.get("enum", ())),
            is_required=is_required,
            default="" if default is None else json.dumps(default).strip('"'),
            says=schema.get("description", ""),
        )

    def _example(self, path: str, method: str, operation: Mapping[str, Any], shape: str) -> str:
        for name, value in _OF_PATHS.items():
            path = path.replace(name, value)
        security = operation.get("security", self._document["security"])
        lines = [f"curl {self._base_url}{path}{_QUERIES.get(path, '')}"]
        if lines[0].count("&"):
            lines[0] = f"curl '{lines[0].removeprefix('curl ')}'"
        if method == "patch":
            lines.append("-X PATCH")
        lines += [f'-H "{_SECURITY[kind]}"' for kind in security[0]]
        if shape:
            body = json.dumps(ASKED[shape], ensure_ascii=False)
            lines += ['-H "Content-Type: application/json"', f"-d '{body}'"]
        return " \\\n  ".join(lines)


def _example_answer(answers: Iterable[Answer]) -> str:
    """What the first shape that is answered may look like; empty where there is none."""
    names = [name for answer in answers for name in answer.shapes]
    return json.dumps(ANSWERED[names[0]], ensure_ascii=False, indent=2) if names else ""


def _name_of(schema: Schema) -> str:
    return str(schema.get("$ref", "")).removeprefix(_SCHEMAS)


def _options(schema: Schema) -> Iterator[Schema]:
    """What a value may be, one by one."""
    inner = [one for key in ("anyOf", "oneOf") for one in schema.get(key, ())]
    # Two formats of one type are one option.
    if not inner or "type" in schema:
        yield schema
        return
    for one in inner:
        yield from _options(one)


def _types(schema: Schema) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
}
_FORMATS = {"date-time": "time (RFC 3339)", "uri": "address"}


def _kind(schema: Schema) -> str:
    """What a value is, in words; empty where a shape says it."""
    kind = ""
    if "const" in schema:
        kind = f"always {json.dumps(schema['const'])}"
    elif "enum" in schema:
        kind = "one of"
    elif "array" in _types(schema):
        kind = f"list of {_kinds(_options(schema.get('items', {})))}".strip()
    elif {one.get("format") for one in schema.get("anyOf", ())} == {"ipv4", "ipv6"}:
        kind = "IPv4 or IPv6 address"
    elif schema.get("format") in _FORMATS:
        kind = _FORMATS[schema["format"]]
    elif schema.get("contentEncoding") == "base64":
        kind = "text in base64"
    elif "$ref" not in schema:
        words = [_WORDS[one] for one in _types(schema) if one in _WORDS]
        kind = " or ".join(words) or "anything"
    return kind


def _kinds(options: Iterable[Schema]) -> str:
    return " or ".join(dict.fromkeys(kind for one in options if (kind := _kind(one))))


def _shapes(schema: Schema) -> Iterator[str]:
    if name := _name_of(schema):
        yield name
    for one in _options(schema.get("items", {})):
        if name := _name_of(one):
            yield name


_PLURALS = {"Length": "characters", "Items": "of them"}


def _bounds(schema: Schema) -> str:
    found = []
    for ending, of in _PLURALS.items():
        low, high = schema.get(f"min{ending}"), schema.get(f"max{ending}")
        if low is not None and high is not None:
            found.append(f"{low:,} to {high:,} {of}")
        elif low is not None:
            found.append(f"at least {low:,} {of}")
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is not None and abs(high) >= 2**63 - 1:
        found.append("of 64 bits")
    elif low is not None and high is not None:
        found.append(f"{low:,} to {high:,}")
    elif low:
        found.append(f"at least {low:,}")
    return ", ".join(found)
