"""A TOML document beside a schema -> the section, and every problem at once, each with its path.

msgspec by itself would stop at the first problem. `schema.py` says what is allowed, and a `description` there is how a
person is told what was expected.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args, get_origin

from msgspec import UNSET, ValidationError, convert, inspect, structs

from edgevoice.errors import ConfigError
from edgevoice.schema import AgentId, FileName, Number, Section

S = TypeVar("S", bound=Section)


def document(text: str, source: str) -> dict[str, object]:
    """Parse TOML. Raises ConfigError, which begins with `source`."""
    try:
        return tomllib.loads(text + "\n")  # so that an error in the last line has a line and a column, too
    except RecursionError:
        raise ConfigError([f"{source}: the brackets are nested too deeply"]) from None
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        raise ConfigError([f"{source}: {error}"]) from error


class Reading:
    """One walk over a document beside its schema."""

    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []  # path and sentence
        self.left_out: set[str] = set()

    def table(self, kind: type[S], found: object, path: str) -> S:
        """Return the section; a key that is left out or wrong has its default."""
        if not isinstance(found, dict):
            self.problems.append((path, f"expected a table, got {show(found)}"))
            return kind()
        fields = {field.name: field.type for field in structs.fields(kind)}
        for name in found:
            if name not in fields:
                self.problems.append((join(path, name), f"unknown key{did_you_mean(name, fields)}"))
        values = {name: self.key(field, found, name, join(path, name)) for name, field in fields.items()}
        return kind(**{name: value for name, value in values.items() if value is not UNSET})

    def key(self, kind: Any, table: Mapping[str, object], name: str, path: str) -> Any:
        if name in table:
            return self.value(kind, table[name], path)
        if _is_section(kind):
            return self.table(kind, {}, path)  # to note each of its keys
        self.left_out.add(path)
        return UNSET

    def value(self, kind: Any, found: object, path: str) -> Any:
        """Return the value as `kind`, or UNSET when it is wrong."""
        if _is_section(kind):
            return self.table(kind, found, path)
        if get_origin(kind) is tuple:
            return self.array(get_args(kind)[0], found, path)
        if get_origin(kind) is Mapping:
            return self.named(get_args(kind)[1], found, path)
        try:
            return convert(found, kind)
        except (ValidationError, ValueError):  # ValueError: an integer too long to be written in msgspec's own message
            self.problems.append((path, _wrong(kind, found)))
            return UNSET

    def array(self, kind: Any, found: object, path: str) -> Any:
        if not isinstance(found, list):
            advice = f"; write [[{path}]]" if _is_section(kind) and isinstance(found, dict) else ""
            self.problems.append((path, f"expected an array, got {show(found)}{advice}"))
            return UNSET
        values = [self.value(kind, value, f"{path}[{index}]") for index, value in enumerate(found)]
        return tuple(value for value in values if value is not UNSET)

    def named(self, kind: Any, found: object, path: str) -> Any:
        if not isinstance(found, dict):
            self.problems.append((path, f"expected a table, got {show(found)}"))
            return UNSET
        values = {name: self.value(kind, value, join(path, name)) for name, value in found.items()}
        return {name: value for name, value in values.items() if value is not UNSET}


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def join(path: str, name: str) -> str:
    """Return the path of a key as TOML would write it."""
    key = name if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name) else show(name)
    return f"{path}.{key}" if path else key


def show(found: object) -> str:
    """Return a value as TOML would write it, or what it is when that would be long."""
    match found:
        case bool():
            return "true" if found else "false"
        case str():
            return json.dumps(found if len(found) <= 60 else found[:59] + "…", ensure_ascii=False)
        case int() if found.bit_length() > 63:
            return "a number beyond 64 bits"
        case list():
            return "an array"
        case dict():
            return "a table"
    return str(found)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return a question with the word that is nearest, or "" when none is near."""
    close = get_close_matches(word, list(words), n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def not_one_of(found: object, choices: Sequence[str | int]) -> str:
    """Say that a value is none of those that are possible."""
    if not choices:
        return f"{show(found)} is not known: there are none"
    words = [choice for choice in choices if isinstance(choice, str)]
    closest = did_you_mean(found, words) if isinstance(found, str) else ""
    return f"{show(found)} is not one of {', '.join(map(show, choices))}{closest}"


def _wrong(kind: Any, found: object) -> str:
    """Say what was expected, and what is there unless that may be a secret or is a number."""
    if get_origin(kind) is Literal:
        return not_one_of(found, get_args(kind))
    expected = _describe(inspect.type_info(kind))
    return f"expected {expected}" if kind in (AgentId, FileName, Number) else f"expected {expected}, got {show(found)}"


def _describe(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(extra_json_schema={"description": str(description)}):
            return description
        case inspect.IntType(ge=low, le=high):
            return f"an integer from {low} to {high}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low:g} to {high:g}"
        case inspect.BoolType():
            return "true or false"
        case inspect.UnionType():
            return "a number, true or false, or text"
    return "text"
