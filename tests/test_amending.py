"""A configuration that somebody wrote by hand is changed as they would have."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.amending import Key, amended
from edgevoice.errors import ConfigError

BY_HAND = """\
# The box at the gate.

[device]   # which one
name = "gate"      # as on the drawing

# whom it calls
[call]
button = "parrot"      # until the key is there
max_s = 600
"""


def test_only_the_value_is_different() -> None:
    assert amended(BY_HAND, {("call", "button"): "openai"}, "f") == BY_HAND.replace('"parrot"', '"openai"')


def test_a_new_key_follows_the_last_one_and_not_the_words_about_the_next_section() -> None:
    changed = amended(BY_HAND, {("device", "hat"): "codec-zero"}, "f")
    assert changed == BY_HAND.replace("drawing\n", 'drawing\nhat = "codec-zero"\n')


def test_a_section_that_stands_in_two_places_is_one() -> None:
    apart = '[call]\nbutton = "parrot" # yet\n[card]\nrate = 16000\n[call.contacts]\nanna = "elks:+461"\n'
    changed = amended(apart, {("call", "button"): "openai", ("call", "fallback"): "parrot"}, "f")
    assert changed == apart.replace('"parrot" # yet\n', '"openai" # yet\nfallback = "parrot"\n')


def test_a_new_section_stands_at_the_end() -> None:
    assert amended(BY_HAND, {("panel", "button"): 5}, "f") == BY_HAND + "\n[panel]\nbutton = 5\n"


def test_a_new_section_of_an_agent_stands_at_the_end_wherever_the_other_agents_are() -> None:
    text = "[agent.openai]\nvoice = 'a'\n\n[call]\nbutton = 'x'\n\n[agent.gemini]\nvoice = 'b'\n\n[panel]\nbutton = 1"
    values: dict[Key, str | int] = {("agent", "elevenlabs", "agent_id"): "agent_1", ("agent", "gemini", "voice"): "c"}
    written = '\n\n[agent.elevenlabs]\nagent_id = "agent_1"\n'
    assert amended(text, values, "f") == text.replace("'b'", '"c"') + written


def test_an_empty_file_has_the_section_and_nothing_else() -> None:
    assert amended("", {("panel", "button"): 5}, "f") == "[panel]\nbutton = 5\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# words\n",
        "[device]\n# hat = 'x'\n\n",
        "device.name = 'gate'\n",
        "device = { name = 'gate' }\n[call]\nbutton = 'x'",
        "[device]\r\nhat = 'x'\r\n\r\n[call]\r\n",
        "[[line.sip]]\nuser = 'u'\n[line.sip.targets]\na = 'b'\n[device]\nhat = 'x' # y",
    ],
)
def test_whatever_the_layout_the_values_are_there_and_the_others_stay(text: str) -> None:
    values: dict[Key, str | int] = {("device", "hat"): "codec-zero", ("call", "button"): "openai"}
    values["panel", "button"] = -1
    read = tomllib.loads(amended(text, values, "f"))
    before = tomllib.loads(text)
    for (section, key), value in values.items():
        assert read[section].pop(key) == value
        before.setdefault(section, {}).pop(key, None)
        assert read.pop(section) == before.pop(section)
    assert read == before


@given(st.text())
def test_no_text_gets_out_of_its_quotes(text: str) -> None:
    text = "".join(sign for sign in text if not "\ud800" <= sign <= "\udfff")
    read = tomllib.loads(amended(BY_HAND, {("call", "button"): text}, "f"))
    assert read == tomllib.loads(BY_HAND) | {"call": {"button": text, "max_s": 600}}


@pytest.mark.parametrize("text", ["[call", "call = 5\n", "[[call]]\n", "call.button = 1\ncall.button = 2\n"])
def test_what_cannot_be_changed_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^(f: |\$\.call: )"):
        amended(text, {("call", "button"): "openai"}, "f")


def test_what_cannot_be_changed_as_it_is_written_is_told_and_no_broken_file_is_made() -> None:
    """Of dotted keys that are deep, on a last line without an end, the library makes what is no TOML."""
    with pytest.raises(ConfigError, match=r"f: cannot be changed as it is written: expected \[call\] as sections"):
        amended("call.a.b.c = 'x'", {("call", "button"): "parrot"}, "f")
