"""What a person may write into `edgevoice.toml`, and what they are told when it is wrong."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from edgevoice.config import AGENTS, Secret, agents_relays, check, load, secret, tools
from edgevoice.errors import ConfigError
from edgevoice.schema import Call, Config, Section, Tables

EXAMPLE = (Path(__file__).parents[1] / "systemd" / "edgevoice.toml").read_text("utf-8")

# The public contract. A key is added here when it is added there; none is ever renamed.
CONTRACT = """
device: name hat reboot_after
card: capture playback rate period_ms buffer_ms capture_channel volume mixer simulate
echo: canceller noise_suppression delay_ms half_duplex
barge_in: sensitivity confirm_ms give_up_ms pre_roll_ms
panel: pins button button_pull light light_leds light_power press hold_s power_off
call: button at_start incoming auto_answer max_s fallback contacts
agent.openai: url dialect model api_key_file voice instructions instructions_file language turn_detection
agent.openai: vad_threshold vad_silence_ms tools greeting
agent.elevenlabs: agent_id api_key_file url voice instructions instructions_file language greeting variables tools
agent.gemini: url model api_key_file voice instructions instructions_file language turn_detection vad_silence_ms
agent.gemini: tools greeting
lines: listen certificate_file private_key_file url max_calls
line.elks: path_token_file allow_ip number api_credentials_file websocket_number allow api_url
line.twilio: path_token_file auth_token_file account_sid number allow api_url
line.vobiz: path_token_file auth_token_file allow
line.plivo: path_token_file auth_token_file allow
line.sip[]: registrar user password_file transport srtp codecs allow ca_file jitter_ms secret_header targets
relay.*: pin pulse_s dtmf max_wrong agent_may
status: socket listen
"""
KEYS = [
    f"{table}.{key}"
    for line in CONTRACT.split("\n")
    if line
    for table, keys in [line.split(":")]
    for key in keys.split()
]


def problems(text: str) -> list[str]:
    """Return what is wrong with a file, without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert all(problem.startswith("edgevoice.toml: ") for problem in caught.value.problems)
    return [problem.removeprefix("edgevoice.toml: ") for problem in caught.value.problems]


def keys(kind: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every key of the schema that holds a value."""
    for field in structs.fields(kind):
        inner, here = field.type, f"{path}{field.name}"
        if get_origin(inner) is tuple and get_args(inner)[0] in Section.__subclasses__():
            yield from keys(get_args(inner)[0], f"{here}[].")
        elif get_origin(inner) is Mapping and get_args(inner)[1] in Section.__subclasses__():
            yield from keys(get_args(inner)[1], f"{here}.*.")
        elif inner in Section.__subclasses__():
            yield from keys(inner, f"{here}.")
        else:
            yield here


def toml(value: object) -> str:
    """Write any value as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(sign):08x}" for sign in value) + '"'
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
    return str(value)


def document(tables: Mapping[str, object]) -> str:
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in tables.items())


# ------------------------------------------------------------------------------------------- a file that is right


def test_an_empty_file_gives_every_default() -> None:
    assert structs.replace(load(""), left_out=frozenset()) == Config()


def test_the_example_file_holds_exactly_the_defaults() -> None:
    assert structs.replace(load(EXAMPLE), left_out=frozenset()) == Config()


def test_the_example_file_leaves_out_no_key_but_accounts_and_relays() -> None:
    assert load(EXAMPLE).left_out == {"line.sip", "relay"}


def test_what_the_example_comments_out_is_spelled_right() -> None:
    everything = re.sub(r"^#(?=[a-z\[])", "", EXAMPLE, flags=re.MULTILINE)
    assert problems(everything) == [
        "$.line.sip[0].registrar: an account needs it; write it",
        "$.line.sip[0].user: an account needs it; write it",
    ]


def test_every_key_of_the_contract_is_there_and_no_other() -> None:
    assert sorted(keys(Tables)) == sorted(KEYS)


def test_the_parrot_has_a_table_without_keys() -> None:
    assert problems("[agent.parrot]\nvoice = 1") == ["$.agent.parrot.voice: unknown key"]


def test_what_is_written_is_what_one_gets() -> None:
    config = load(
        """
        [card]
        capture = "hw:CARD=Zero"
        rate = 16000
        [panel]
        light = [22, 23, 24]
        press = "push_to_talk"
        [call]
        button = "openai"
        [agent.openai]
        tools = ["hang_up", "set_volume"]
        """
    )
    assert (config.card.capture, config.card.rate, config.card.playback) == ("hw:CARD=Zero", 16000, "default")
    assert (config.panel.light, config.panel.press) == ((22, 23, 24), "push_to_talk")
    assert config.call == Call(button="openai")
    assert config.agent.openai.tools == ("hang_up", "set_volume")


def test_a_whole_number_will_do_where_a_fraction_may_stand() -> None:
    assert load("[panel]\nhold_s = 3").panel.hold_s == 3.0


def test_a_box_may_have_neither_button_nor_light() -> None:
    panel = load("[panel]\nbutton = -1\nlight = []").panel
    assert (panel.button, panel.light) == (-1, ())


def test_a_light_may_be_a_row_of_leds_on_two_wires() -> None:
    panel = load("[panel]\nbutton = -1\nlight = [10, 11]\nlight_leds = 12").panel
    assert (panel.light, panel.light_leds, panel.light_power) == ((10, 11), 12, -1)


def test_the_switch_of_leds_that_are_not_there_is_nobodys_pin() -> None:
    assert load("[panel]\nlight = [25]\nlight_power = 25\n[relay.door]\npin = 5").panel.light == (25,)


def test_a_key_set_to_its_default_is_not_left_out() -> None:
    left_out = load("[card]\nrate = 48000\n[agent.openai]\nvoice = 'marin'").left_out
    assert left_out.isdisjoint({"card.rate", "agent.openai.voice"})
    assert left_out >= {"card.capture", "agent.openai.model", "panel.light", "line.sip", "relay"}


def test_a_file_with_nothing_in_it_leaves_out_every_key() -> None:
    assert load("").left_out == {key.split("[]")[0].split(".*")[0] for key in KEYS}


def test_a_section_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        load("").card.rate = 8000  # type: ignore[misc]


# ------------------------------------------------------------------------------------------- a file that is wrong


def test_all_problems_are_reported_together_each_with_its_path() -> None:
    text = """
        colour = "red"
        [card]
        rate = 47999
        volume = "loud"
        [barge_in]
        confirm_ms = "fast"
        [agent.openai]
        vocie = "cedar"
        [call]
        button = "parott"
        [device]
        hat = "codec-zero"
    """
    assert problems(text) == [
        "$.colour: unknown key",
        "$.card.rate: 47999 is not one of 8000, 16000, 24000, 44100, 48000",
        '$.card.volume: expected an integer from -1 to 100, got "loud"',
        '$.barge_in.confirm_ms: expected an integer from 20 to 2000, got "fast"',
        '$.agent.openai.vocie: unknown key; did you mean "voice"?',
        '$.device.hat: "codec-zero" is not known: there are none',
        '$.call.button: "parott" is not one of "elevenlabs", "gemini", "openai", "parrot"; did you mean "parrot"?',
    ]


def test_problems_name_the_file_they_are_in() -> None:
    with pytest.raises(ConfigError) as caught:
        load("[crad]", source="/etc/edgevoice/edgevoice.toml")
    assert caught.value.problems == ('/etc/edgevoice/edgevoice.toml: $.crad: unknown key; did you mean "card"?',)


def test_a_misspelled_word_is_put_right() -> None:
    assert problems('[panel]\npress = "push-to-talk"') == [
        '$.panel.press: "push-to-talk" is not one of "talk", "push_to_talk"; did you mean "push_to_talk"?'
    ]


def test_the_internal_list_of_keys_left_out_is_not_a_key() -> None:
    assert problems("left_out = []") == ["$.left_out: unknown key"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("card = 3", "$.card: expected a table, got 3"),
        ("[[card]]", "$.card: expected a table, got an array"),
        ("card.simulate = 1", "$.card.simulate: expected true or false, got 1"),
        ("card.volume = true", "$.card.volume: expected an integer from -1 to 100, got true"),
        ("card.volume = 7.0", "$.card.volume: expected an integer from -1 to 100, got 7.0"),
        ("card.capture = ''", '$.card.capture: expected text on one line, not empty, got ""'),
        ("card.mixer = 2026-01-31", "$.card.mixer: expected text on one line, got 2026-01-31"),
        ("card.rate = '48000'", '$.card.rate: "48000" is not one of 8000, 16000, 24000, 44100, 48000'),
        ("panel.hold_s = nan", "$.panel.hold_s: expected a number from 0.5 to 60, got nan"),
        ("panel.hold_s = true", "$.panel.hold_s: expected a number from 0.5 to 60, got true"),
        ("panel.light = 25", "$.panel.light: expected an array, got 25"),
        ("panel.light = [1, 28, 3]", "$.panel.light[1]: expected an integer from 0 to 27, got 28"),
        ("line.sip.user = 'x'", "$.line.sip: expected an array, got a table; write [[line.sip]]"),
        ("relay = 5", "$.relay: expected a table, got 5"),
        ("agent.openai.greeting = [1]", "$.agent.openai.greeting: expected text, got an array"),
        ("agent.openai.url = 'https://x'", 'an address that begins with wss:// or ws://, got "https://x"'),
        ("device.name = 'front door'", '1 to 63 letters, digits, dots, hyphens and underscores, got "front door"'),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(text: str, problem: str) -> None:
    [told] = problems(text)
    assert told.endswith(problem)


@pytest.mark.parametrize(
    ("key", "lowest", "highest"),
    [
        ("card.period_ms", 5, 40),
        ("card.capture_channel", 0, 31),
        ("card.volume", -1, 100),
        ("barge_in.confirm_ms", 20, 2000),
        ("panel.button", -1, 27),
        ("panel.light_leds", 1, 32),
        ("panel.light_power", -1, 27),
        ("panel.hold_s", 0.5, 60),
        ("call.max_s", 1, 86400),
        ("agent.openai.vad_threshold", 0, 1),
    ],
)
def test_a_number_may_be_at_its_bounds_but_not_beyond(key: str, lowest: float, highest: float) -> None:
    room = "card.buffer_ms = 500\nbarge_in.give_up_ms = 5000\npanel.light = [5, 6]\n"
    for value in (lowest, highest):
        assert isinstance(load(f"{room}{key} = {value}"), Config)
    for value in (lowest - 1, highest + 1):
        [told] = problems(f"{room}{key} = {value}")
        assert told.endswith(f"from {lowest} to {highest}, got {value}")


@pytest.mark.parametrize("light", ["", "light = []", "light = [25]", "light = [5, 6, 13]"])
def test_a_row_of_leds_that_is_not_at_two_pins_is_told(light: str) -> None:
    assert problems(f"[panel]\nlight_leds = 4\n{light}") == [
        "$.panel.light_leds: 4 has no effect; expected two pins in panel.light, data and clock, or no such key"
    ]


def test_who_replaces_the_leds_of_a_hat_by_one_of_their_own_need_not_count_them() -> None:
    hat = "title = 'x'\nids = ['x']\n[panel]\nlight = [5, 6]\nlight_leds = 3\n"
    assert load("[device]\nhat = 'x'\n[panel]\nlight = [25]\n", profiles={"x": hat}).panel.light == (25,)


def test_a_number_of_thousands_of_digits_is_told_without_them() -> None:
    assert problems(f"card.rate = 0x{'f' * 5000}") == [
        "$.card.rate: a number beyond 64 bits is not one of 8000, 16000, 24000, 44100, 48000"
    ]
    assert len(problems(f"card.volume = {'9' * 5000}")) == 1


def test_a_long_text_is_told_shortened() -> None:
    [told] = problems(f"[panel]\npins = '{'x' * 1000}'\n")
    assert told.startswith(f'$.panel.pins: "{"x" * 59}…" is not one of')


def test_a_name_that_needs_quotes_is_quoted_in_its_path() -> None:
    assert problems("[relay.'front door']\nopen = true")[0] == '$.relay."front door".open: unknown key'


def test_a_mistake_in_the_notation_is_told_with_line_and_column() -> None:
    assert problems("[card]\nrate = ") == ["Invalid value (at line 2, column 8)"]


def test_a_key_given_twice_is_told_with_line_and_column() -> None:
    assert problems("[card]\nrate = 8000\nrate = 16000") == ["Cannot overwrite a value (at line 3, column 13)"]


def test_brackets_without_end_are_told_and_do_not_exhaust_the_stack() -> None:
    assert problems("a = " + "[" * 100_000) == ["the brackets are nested too deeply"]


# ------------------------------------------------------------------------------------- keys that do not go together


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "card.period_ms = 25",
            "$.card.buffer_ms: 40 is less than two periods of 25 ms; expected at least 50",
        ),
        (
            "card.rate = 44100\ncard.period_ms = 5",
            "$.card.period_ms: 5 ms are not a whole number of samples at 44100 Hz; use 10, 20, 30 or 40",
        ),
        (
            "barge_in.give_up_ms = 159",
            "$.barge_in.give_up_ms: 159 is less than confirm_ms; expected at least 160",
        ),
        (
            "panel.light = [1, 2, 3, 4]",
            "$.panel.light: 4 pins; expected none, one, three for red, green, blue, or two for data and clock",
        ),
        (
            "panel.light = [5, 6]\npanel.light_power = 17",
            "$.panel.light_power: 17 is used by button or light, too; give it one of its own, or -1",
        ),
        (
            "panel.light = [5, 6]\npanel.light_power = 6",
            "$.panel.light_power: 6 is used by button or light, too; give it one of its own, or -1",
        ),
        (
            "panel.light = [17]",
            "$.panel.light: a pin is used twice; give button and light one each",
        ),
        (
            "panel.light = [1, 2, 1]",
            "$.panel.light: a pin is used twice; give button and light one each",
        ),
        (
            "call.button = 'elevenlabs'",
            "$.agent.elevenlabs.agent_id: names no agent; write the id that ElevenLabs shows for it",
        ),
        (
            "agent.openai.instructions = 'Be brief.'\nagent.openai.instructions_file = 'prompt.txt'",
            "$.agent.openai.instructions_file: instructions are given as well; remove one of the two",
        ),
        (
            "agent.gemini.instructions = 'Be brief.'\nagent.gemini.instructions_file = 'prompt.txt'",
            "$.agent.gemini.instructions_file: instructions are given as well; remove one of the two",
        ),
    ],
)
def test_keys_that_contradict_each_other_are_told(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_nothing_is_concluded_from_a_key_that_is_wrong_itself() -> None:
    """The default would take its place, and the contradiction with that would be nobody's."""
    assert problems("card.buffer_ms = 10\ncard.period_ms = 'short'") == [
        '$.card.period_ms: expected an integer from 5 to 40, got "short"'
    ]
    assert problems("panel.light = [1, 'two', 3]") == ['$.panel.light[1]: expected an integer from 0 to 27, got "two"']


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "agent.openai.tools = ['open_relay']\n[relay.door]\npin = 5",
            "$.agent.openai.tools: open_relay has nothing to open; set agent_may = true in a relay",
        ),
        (
            "agent.openai.tools = ['call']",
            "$.agent.openai.tools: call has nobody to call; name somebody in [call.contacts]",
        ),
        (
            "[relay.door]\nagent_may = true",
            '$.relay.door.agent_may: no agent can: add "open_relay" to its tools, or use false',
        ),
        (
            "[call.contacts]\nthe_owner = 'sip:owner'",
            "$.call.contacts.the_owner: to call out it needs an account, [[line.sip]]",
        ),
        (
            "[call.contacts]\nbird = 'parot'",
            '$.call.contacts.bird: "parot" is not one of "elevenlabs", "gemini", "openai", "parrot"; did you mean '
            '"parrot"?',
        ),
        (
            f"[call.contacts]\n'{'x' * 41}' = 'parrot'",
            f"$.call.contacts.{'x' * 41}: expected a name of 1 to 40 characters, as an agent is to say it",
        ),
    ],
)
def test_a_tool_that_could_do_nothing_is_told(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_an_agent_may_be_allowed_a_door_and_people() -> None:
    config = load(
        "agent.openai.tools = ['open_relay', 'call']\nrelay.door.agent_may = true\n[call.contacts]\nbird = 'parrot'\n"
    )
    assert (agents_relays(config), tools(config, "openai"), tools(config, "parrot")) == (
        ("door",),
        ("open_relay", "call"),
        (),
    )


# ------------------------------------------------------------------------------------- what this version does not have


def test_health_is_listened_for_where_that_can_be_done() -> None:
    assert load("status.listen = '127.0.0.1:8080'").status.listen == "127.0.0.1:8080"
    assert problems("status.listen = ':99999'") == ["$.status.listen: there is no port 99999; expected at most 65535"]
    assert "$.status.listen: expected an address and a port" in problems("status.listen = 'yes'")[0]


def test_an_account_of_which_nothing_is_said_is_none() -> None:
    assert problems("[[line.sip]]\n[line.sip.targets]") == [
        "$.line.sip[0].registrar: an account needs it; write it",
        "$.line.sip[0].user: an account needs it; write it",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("call.button = ''", '$.call.button: "" is not one of "elevenlabs", "gemini", "openai", "parrot"'),
        ("call.button = 'card'", '$.call.button: "card" is not one of "elevenlabs", "gemini", "openai", "parrot"'),
        (
            "call.at_start = 'gpt'",
            '$.call.at_start: "gpt" is not one of "elevenlabs", "gemini", "openai", "parrot", ""',
        ),
        ("call.incoming = ''", '$.call.incoming: "" is not one of "elevenlabs", "gemini", "openai", "parrot", "card"'),
        (
            "call.fallback = 'openia'",
            '"openia" is not one of "elevenlabs", "gemini", "openai", "parrot", ""; did you mean "openai"?',
        ),
    ],
)
def test_nobody_is_called_whom_the_box_does_not_know(text: str, problem: str) -> None:
    [told] = problems(text)
    assert told.endswith(problem)


def test_the_agents_that_exist_are_said_by_the_caller() -> None:
    config = load("call.button = 'echo'", agents={"echo", "parrot"})
    assert check(config, {"echo", "parrot"}) == []
    assert check(config, {"parrot"}) == ['$.call.button: "echo" is not one of "parrot"']


def test_a_configuration_made_in_code_is_checked_like_a_file() -> None:
    config = Config(card=structs.replace(Config().card, period_ms=30))
    assert check(config, {"parrot"}) == ["$.card.buffer_ms: 40 is less than two periods of 30 ms; expected at least 60"]


# ------------------------------------------------------------------------------------------------ anything at all


def told_of(text: str) -> tuple[str, ...]:
    """Return what is wrong with a file that may be right. Anything raised but ConfigError goes through."""
    try:
        config = load(text)
    except ConfigError as error:
        return error.problems or ("nothing was told",)
    assert check(config, AGENTS) == []
    return ()


leaves = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.datetimes(), st.dates(), st.times()
)
names = st.one_of(st.sampled_from(sorted({part for key in KEYS for part in re.split(r"[.\[\]*]+", key)})), st.text())
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4))


@settings(deadline=None, max_examples=100)
@given(key=st.sampled_from(KEYS), value=values)
def test_any_value_of_any_key_is_taken_or_told_at_that_key(key: str, value: object) -> None:
    tables: object = value
    for part in reversed(key.replace("[]", ".[]").split(".")):
        tables = [tables] if part == "[]" else {"x" if part == "*" else part: tables}
    assert isinstance(tables, dict)
    table = key.partition(".")[0]  # a phone line without a server is told at `lines`
    assert all(problem.startswith(f"edgevoice.toml: $.{table}") for problem in told_of(document(tables)))


@settings(deadline=None, max_examples=100)
@given(tables=st.dictionaries(names, values, max_size=6))
def test_any_file_gives_a_configuration_or_problems(tables: dict[str, object]) -> None:
    assert all(problem.startswith("edgevoice.toml: $.") for problem in told_of(document(tables)))


@settings(deadline=None)
@given(text=st.text())
def test_any_text_gives_a_configuration_or_problems(text: str) -> None:
    assert all(problem.startswith("edgevoice.toml: ") for problem in told_of(text))


@settings(deadline=None)
@given(
    wrong=st.lists(
        st.sampled_from([key for key in KEYS if not re.search(r"[\[*]|contacts", key)]), min_size=1, unique=True
    )
)
def test_each_of_many_wrong_keys_has_its_own_line(wrong: list[str]) -> None:
    told = problems("".join(f"{key} = 1979-05-27\n" for key in wrong))
    assert sorted(line.split(":")[0] for line in told) == sorted(f"$.{key}" for key in wrong)


# --------------------------------------------------------------------------------------------------------- secrets

CREDENTIALS, BESIDE = "/run/credentials/edgevoice.service", "/etc/edgevoice"
KEY = "agent.openai.api_key_file"


class Disk:
    """Files by name; an OSError in the place of a file is raised when it is read."""

    def __init__(self, files: Mapping[str, bytes | OSError]) -> None:
        self.files = files

    def read(self, name: str) -> bytes:
        content = self.files.get(name, FileNotFoundError(2, "No such file or directory", name))
        if isinstance(content, OSError):
            raise content
        return content


def read_key(files: Mapping[str, bytes | OSError], name: str = "key") -> Secret:
    return secret(name, KEY, read=Disk(files).read, directories=[CREDENTIALS, BESIDE])


def refusal(files: Mapping[str, bytes | OSError], name: str = "key") -> str:
    with pytest.raises(ConfigError) as caught:
        read_key(files, name)
    [problem] = caught.value.problems
    return problem


def test_a_key_is_looked_up_among_the_credentials_first() -> None:
    assert read_key({f"{CREDENTIALS}/key": b"from systemd", f"{BESIDE}/key": b"beside"}).reveal() == "from systemd"


def test_a_key_is_then_looked_up_beside_the_configuration() -> None:
    assert read_key({f"{BESIDE}/keys/openai": b"beside"}, "keys/openai").reveal() == "beside"


def test_an_absolute_name_is_taken_as_it_is() -> None:
    assert read_key({"/root/key": b"absolute", f"{CREDENTIALS}/root/key": b"no"}, "/root/key").reveal() == "absolute"
    assert secret("/key", KEY, read=Disk({"/key": b"alone"}).read, directories=[]).reveal() == "alone"


@pytest.mark.parametrize("content", [b"sk-1\n", b"sk-1\r\n", b"  sk-1\t\n\n", b"\xef\xbb\xbfsk-1"])
def test_what_an_editor_leaves_around_a_key_is_not_part_of_it(content: bytes) -> None:
    assert read_key({f"{BESIDE}/key": content}).reveal() == "sk-1"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"hush\nhush", "has more than one line"),
        (b"hush\x00hush", "holds a control character"),
        (b"hush\xff", "is not text"),
        ("hush".encode("utf-16"), "is not text"),
    ],
)
def test_a_file_that_holds_no_key_is_told_without_what_it_holds(content: bytes, fault: str) -> None:
    told = refusal({f"{BESIDE}/key": content})
    assert told == f"$.{KEY}: {BESIDE}/key {fault}; it must hold the secret on one line and nothing else"


def test_a_missing_key_is_told_with_every_place_it_was_looked_for() -> None:
    assert refusal({}) == f"$.{KEY}: there is no file {CREDENTIALS}/key or {BESIDE}/key; write the secret into it"


def test_a_key_that_may_not_be_read_is_told_and_no_other_is_taken_instead() -> None:
    denied = PermissionError(13, "Permission denied")
    told = refusal({f"{CREDENTIALS}/key": denied, f"{BESIDE}/key": b"an old key"})
    assert told.startswith(f"$.{KEY}: cannot read {CREDENTIALS}/key: Permission denied; let the user")


def test_a_setting_that_names_no_file_is_told() -> None:
    assert refusal({}, "").startswith(f"$.{KEY}: names no file")


def test_no_trace_of_an_error_holds_the_key() -> None:
    with pytest.raises(ConfigError) as caught:
        read_key({f"{BESIDE}/key": b"hush\xff"})
    error: BaseException | None = caught.value
    while error is not None:
        assert b"hush" not in getattr(error, "object", b"")
        error = error.__context__ if not error.__suppress_context__ else error.__cause__


def test_a_secret_shows_itself_only_when_asked_to() -> None:
    hidden = Secret("sk-1")
    assert f"{hidden} {hidden!s} {hidden!r} {[hidden]}" == "Secret(***) Secret(***) Secret(***) [Secret(***)]"
    assert hidden.reveal() == "sk-1"


@pytest.mark.parametrize("begins", ["sk-proj-", "sk_", "AIza", "AQ."])
def test_a_key_pasted_in_place_of_its_file_is_refused_and_not_repeated(begins: str) -> None:
    pasted = begins + "a1B2_" * 10
    told = problems(f"[agent.openai]\napi_key_file = '{pasted}'\napi_key = '{pasted}'")
    assert told == [
        '$.agent.openai.api_key: unknown key; did you mean "api_key_file"?',
        "$.agent.openai.api_key_file: expected the name of a file, not what stands in it",
    ]
    assert problems(f"[agent.elevenlabs]\nagent_id = '{pasted}'") == [
        "$.agent.elevenlabs.agent_id: expected an agent's id, like agent_0123456789, and not a key"
    ]
