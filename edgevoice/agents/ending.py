"""How a conversation with an agent's service ends, in a sentence for the owner of the box."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from edgevoice.events import Closed, End

QUOTED_CHARS = 160
KEYS = re.compile(r"\b(?:[es]k[-_]|AIza|AQ\.)[\w*.-]+")  # as OpenAI's, ElevenLabs' and Google's begin
WRONG_KEY = "{host} does not accept the API key: put a valid one into the file that api_key_file names"

# What stands in the service's words when trying again does not help, in lower case; the end, and what does help.
Refusals: TypeAlias = Sequence[tuple[Sequence[str], End, str]]


def quoted(words: str, secret: str = "") -> str:
    """Repeat the service's own words, after a colon: short, on one line, and without `secret` or what looks like one.

    Return "" if there are none.
    """
    if secret:
        words = words.replace(secret, "[key]")
    words = KEYS.sub("[key]", " ".join(words.split()))
    return f": {words[:QUOTED_CHARS]}" if words else ""


def any_of(fragments: Sequence[str], words: str) -> bool:
    return any(fragment in words.lower() for fragment in fragments)


def refused(refusals: Refusals, words: str, **known: str) -> Closed | None:
    """Return the first of the refusals that `words` hold, its sentence filled with what is `known`; None: none."""
    for fragments, end, sentence in refusals:
        if any_of(fragments, words):
            return Closed(end, sentence.format(**known))
    return None


def ended(host: str, model: str, code: int, said: str, *, check: str) -> Closed:
    """Say what a close code means, or an HTTP status (100-599), or 0: not reached; `check` names keys that are wrong.

    `said` are the service's words, as `quoted` makes them.
    """
    match code:
        case 0:
            return Closed(End.LINK_LOST, f"{host} cannot be reached{said}")
        case 403:
            return Closed(End.REFUSED, f"{host} forbids it (HTTP 403): this key may not use {model!r}{said}")
        case 404:
            return Closed(End.REFUSED, f"{host} has nothing there (HTTP 404): check {check} and model{said}")
        case 408 | 425 | 429:
            return Closed(End.LINK_LOST, f"{host} is too busy (HTTP {code}){said}")
        case _ if 500 <= code <= 599:
            return Closed(End.LINK_LOST, f"{host} is in trouble (HTTP {code}){said}")
        case _ if 100 <= code <= 499:
            return Closed(End.REFUSED, f"{host} refuses the connection (HTTP {code}): check {check} and model{said}")
        case 1008:
            return Closed(End.REFUSED, f"{host} refuses to go on (1008){said}")
        case 1002 | 1003 | 1007 | 1009 | 1010:
            return Closed(End.BROKEN, f"a message did not keep to the protocol or was too big ({code}){said}")
        case 1000 | 1001:
            return Closed(End.LINK_LOST, f"{host} ended the session ({code}){said}")
        case _:
            return Closed(End.LINK_LOST, f"the connection to {host} broke ({code}){said}")
