"""The last words of both sides of a conversation with an agent, for a session that takes over from another."""

from __future__ import annotations

REMEMBERED_LINES = 40
REMEMBERED_CHARS = 16_000  # about 4,000 tokens: the smallest models hold 32,000 of them
TOLD_CHARS = 200  # of the last words that were heard


def greeting(words: str) -> str:
    """Ask an agent to greet the person with these words."""
    return f"Say exactly this, and nothing else: {words}"


def stopped(heard_ms: float, words: str) -> str:
    """Say to an agent that takes it in words only how much of its answer was heard; `words` are those, if known."""
    said = f"The person stopped you {heard_ms / 1000:.2f} s after you began your last answer, and heard no more of it."
    last = words.strip()[-TOLD_CHARS:] if heard_ms else ""
    return said + (f' The last they heard was: "{last}"' if last else "")


class Memory:
    """What was said, line by line, in the order in which the lines were begun. `who` is "person", "agent" or "tool"."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[str, str]] = {}  # item -> who, text

    def begin(self, item: str, who: str) -> None:
        """Keep the place of an item whose words come later."""
        self._lines.setdefault(item, (who, ""))
        while len(self._lines) > REMEMBERED_LINES:
            del self._lines[next(iter(self._lines))]

    def add(self, item: str, who: str, text: str) -> None:
        self.say(item, who, self._lines.get(item, (who, ""))[1] + text)

    def say(self, item: str, who: str, text: str) -> None:
        self.begin(item, who)
        self._lines[item] = (who, text[:REMEMBERED_CHARS])

    def text(self, item: str) -> str:
        """Return what was said so far; "" of an item that is not known."""
        return self._lines.get(item, ("", ""))[1]

    def keep(self, item: str, share: float) -> None:
        """Cut a line to what was heard of it, by time: the words carry none. 0 forgets it."""
        if item not in self._lines:
            return
        who, text = self._lines[item]
        heard = text if share >= 1 else text[: int(len(text) * share)].rpartition(" ")[0]
        self._lines[item] = (who, heard)

    def lines(self) -> list[tuple[str, str]]:
        """Return who said what, oldest first, within the limits."""
        room, kept = REMEMBERED_CHARS, []
        for who, text in reversed(self._lines.values()):
            if text and room > 0:
                kept.append((who, text[-room:]))
                room -= len(text)
        return kept[::-1]
