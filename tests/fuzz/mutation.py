"""Input that is nearly right: what a service, a file or a person may send, changed a little, by chance and repeatable.

Quick rather than clever: a parser that takes 30 us is to see a million inputs in a minute. A message that is JSON is
changed as a tree, so that it stays JSON and is wrong further in; everything else, and now and then that too, is changed
as text or as bytes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

TEXTS = (
    "",
    "\0",
    "0",
    "-1",
    "é",
    "\U0001f600",
    "\ud800",
    "AAAA",
    "@@@",
    "x" * 300,
    "%s",
    "../..",
    "1e999",
    "null",
    "r1",
)
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, -0.0, 1e-300, 1e300, float("inf"), float("nan"))
NASTY: tuple[Any, ...] = (*TEXTS, *NUMBERS, None, True, False, [], {}, [[]], {"": {}}, [None] * 20)
PIECES = (
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "=",
    "\n",
    "\\",
    "\\u0000",
    "'''",
    "#",
    "\x7f",
    "\ufeff",
    "-",
    ".",
    "e9",
    "[[",
)
DEEP = 3000  # deeper than Python recurses


class Mutator:
    """Makes inputs out of `seeds`, which are right."""

    def __init__(self, seeds: Sequence[str | bytes], seed: int) -> None:
        self._chance = random.Random(seed)
        self._seeds = list(seeds)
        self._trees = [tree for seed_ in seeds if (tree := _tree(seed_)) is not None]

    def make(self) -> str | bytes:
        """Return the next input."""
        chance = self._chance
        roll = chance.random()
        if roll < 0.15:
            return chance.choice(self._seeds)
        if roll < 0.70 and self._trees:
            return self._changed_tree()
        if roll < 0.95:
            return self._changed_text()
        if roll < 0.999:
            return chance.randbytes(chance.randrange(80))
        return chance.choice(("[", '{"a":', "a.", '[["')) * DEEP

    def _changed_tree(self) -> str:
        tree = json.loads(self._chance.choice(self._trees))
        for _ in range(self._chance.randrange(1, 4)):
            tree = self._change(tree)
        return json.dumps(tree)

    def _change(self, tree: Any) -> Any:
        """Change one place of it: replace, drop, double, or move what belongs elsewhere there."""
        chance = self._chance
        if isinstance(tree, dict) and tree and chance.random() < 0.8:
            key = chance.choice(list(tree))
            match chance.randrange(6):
                case 0:
                    del tree[key]
                case 1:
                    tree[chance.choice(TEXTS)] = deepcopy(tree[key])
                case 2:
                    tree[key] = deepcopy(tree[chance.choice(list(tree))])
                case _:
                    tree[key] = self._change(tree[key])
            return tree
        if isinstance(tree, list) and tree and chance.random() < 0.8:
            at = chance.randrange(len(tree))
            tree[at] = self._change(tree[at])
            return tree
        if isinstance(tree, str) and tree and chance.random() < 0.5:
            return self._edited(tree)
        return deepcopy(chance.choice(NASTY))

    def _changed_text(self) -> str | bytes:
        seed = self._chance.choice(self._seeds)
        for _ in range(self._chance.randrange(1, 4)):
            seed = self._edited(seed) if isinstance(seed, str) else self._edited_bytes(seed)
        return seed

    def _edited(self, text: str) -> str:
        chance = self._chance
        a, b = sorted(chance.randrange(len(text) + 1) for _ in range(2))
        match chance.randrange(6):
            case 0:
                return text[:a] + text[b:]
            case 1:
                return text[:b] + text[a:]
            case 2:
                return text[:a] + chance.choice(PIECES) + text[a:]
            case 3:
                return text[:a] + str(chance.choice(NASTY)) + text[b if b - a < 12 else a :]
            case 4:
                lines = text.splitlines(keepends=True) or [""]
                lines.insert(chance.randrange(len(lines)), chance.choice(lines))
                return "".join(lines)
            case _:
                return text[:a] + chr(chance.choice((0, 9, 10, 13, 34, 92, 127, 160, 0x2028, 0xFFFD))) + text[a + 1 :]

    def _edited_bytes(self, packet: bytes) -> bytes:
        chance = self._chance
        a, b = sorted(chance.randrange(len(packet) + 1) for _ in range(2))
        match chance.randrange(5):
            case 0:
                return packet[:a] + packet[b:]
            case 1:
                return packet[:b] + packet[a:]
            case 2:
                return packet[:a] + chance.randbytes(1) + packet[a + 1 :]
            case 3:
                return packet[:a] + chance.choice(PIECES).encode() + packet[a:]
            case _:
                return packet[:a] + chance.randbytes(chance.randrange(9)) + packet[b if b - a < 12 else a :]


def _tree(seed: str | bytes) -> str | None:
    try:
        return seed if isinstance(seed, str) and isinstance(json.loads(seed), dict | list) else None
    except ValueError:
        return None
