"""What may never stand in the journal, and the check that every test of the phone lines makes in the end."""

from __future__ import annotations

import logging

import pytest

CALLER, CALLEE, WORD, KEY = "+46701234567", "+46812345678", "Rumpelstiltskin", "path-token-0123456789"
FORBIDDEN = (CALLER[1:], CALLEE[1:], WORD, KEY)


def listen(caplog: pytest.LogCaptureFixture) -> None:
    """Have everything captured, DEBUG too."""
    caplog.set_level(logging.DEBUG)


def check(caplog: pytest.LogCaptureFixture) -> None:
    """Fail when a number, a word or a key of the test was logged, or the trace of a mistake."""
    for record in caplog.get_records("call"):
        if not record.name.startswith("edgevoice"):
            continue  # the tests' own clients; of these libraries the program shows warnings only
        text = record.getMessage()
        assert not [secret for secret in FORBIDDEN if secret in text], text
        assert record.exc_info is None, text
