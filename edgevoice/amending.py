"""Changes keys of a TOML text, and nothing else in it: comments, order and layout stay as their owner wrote them."""

from __future__ import annotations

from collections.abc import Mapping

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable
from tomlkit.toml_document import TOMLDocument

from edgevoice.errors import ConfigError

Key = tuple[str, str]  # a section and a key in it: ("call", "button")


def amended(text: str, values: Mapping[Key, str | int], source: str) -> str:
    """Return `text` with these values; a section that is not there is added at the end. Raises ConfigError."""
    try:
        document = tomlkit.parse(text)
        for (section, key), value in values.items():
            _set(_section(document, section), key, value)
        return tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ConfigError([f"{source}: {error}"]) from error


def _section(document: TOMLDocument, name: str) -> AbstractTable:
    if name not in document:
        if document.as_string().strip():
            document.add(tomlkit.nl())
        document.add(name, tomlkit.table())
    section = document[name]
    if not isinstance(section, AbstractTable):
        raise ConfigError([f"$.{name}: expected a section, [{name}]"])
    return section


def _set(section: AbstractTable, key: str, value: str | int) -> None:
    """A key that is new follows the last one; what stands behind that belongs to the next section."""
    body, behind = section.value.body, []
    while key not in section and body and body[-1][0] is None:
        behind.append(body.pop()[1])
    section[key] = value
    for item in reversed(behind):
        section.value.append(None, item)
