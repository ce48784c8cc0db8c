"""Changes keys of a TOML text, and nothing else in it: comments, order and layout stay as their owner wrote them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import reduce

import tomlkit
from tomlkit.container import OutOfOrderTableProxy
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable
from tomlkit.toml_document import TOMLDocument

from edgevoice.errors import ConfigError

Key = tuple[str, ...]  # the sections, the outermost first, and a key in the last: ("agent", "gemini", "model")

Table = TOMLDocument | AbstractTable | OutOfOrderTableProxy


def amended(text: str, values: Mapping[Key, str | int], source: str) -> str:
    """Return `text` with these values; a section that is not there is added at the end. Raises ConfigError."""
    try:
        document = tomlkit.parse(text)
        for (*sections, key), value in values.items():
            document = _with(document, sections)
            _set(_section(document, sections), key, value)
        after = tomlkit.dumps(document)
        tomllib.loads(after)
        return after
    except TOMLKitError as error:
        raise ConfigError([f"{source}: {error}"]) from error
    except tomllib.TOMLDecodeError as error:  # of dotted keys the library makes what is none
        wanted = ", ".join(sorted({f"[{'.'.join(key[:-1])}]" for key in values}))
        raise ConfigError([f"{source}: cannot be changed as it is written: expected {wanted} as sections"]) from error


def _with(document: TOMLDocument, names: Sequence[str]) -> TOMLDocument:
    """Return the document with that section; one that is not there is written at the end, wherever its siblings are."""
    found: object = document
    for name in names:
        if not isinstance(found, Table) or name not in found:
            text = tomlkit.dumps(document)
            space = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
            return tomlkit.parse(f"{text}{space}[{'.'.join(names)}]\n")
        found = found[name]
    return document


def _section(document: TOMLDocument, names: Sequence[str]) -> Table:
    section = reduce(lambda table, name: table[name], names, document)
    if not isinstance(section, Table):
        raise ConfigError([f"$.{'.'.join(names)}: expected a section, [{'.'.join(names)}]"])
    return section


def _set(section: Table, key: str, value: str | int) -> None:
    """A key that is new follows the last one; what stands behind that belongs to the next section."""
    if not isinstance(section, AbstractTable):  # one that stands in several places
        section[key] = value
        return
    body, behind = section.value.body, []
    while key not in section and body and body[-1][0] is None:
        behind.append(body.pop()[1])
    section[key] = value
    for item in reversed(behind):
        section.value.append(None, item)
