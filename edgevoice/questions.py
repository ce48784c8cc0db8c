"""What `edgevoice setup` asks, and how an answer is taken: from an option, a person, or a line of standard input.

    HAT -> whom the button calls -> the key -> the button's pin -> a test

At a terminal a wrong answer is asked for again; without one it ends the matter, and so does one that is missing.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from edgevoice.amending import Key, amended
from edgevoice.catalogue import NEEDS, Agents, Needs
from edgevoice.config import DIALLING, cannot_dial, is_line
from edgevoice.drivers.profile_files import card_ids, hat_product
from edgevoice.errors import ConfigError
from edgevoice.profiles import Profile, likely
from edgevoice.schema import Config

ENCRYPTED = Path("/etc/credstore.encrypted")  # where LoadCredentialEncrypted= finds a key by its bare name
NO_HAT = "none"
KEY_LENGTH = 12  # what is shorter is none, and may be shown
ANY_NUMBER = "+46701234567"  # of documentation


@dataclass(frozen=True, slots=True)
class Answers:
    """What was said on the command line; None: nothing."""

    hat: str | None = None
    call: str | None = None
    agent_id: str | None = None
    key_file: str | None = None  # "-": standard input
    button: int | None = None
    test: bool | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The configuration, and how it is read: `load` raises ConfigError, `agents` finds its files, `test` the doctor."""

    path: Path
    text: str  # "" where there is no such file yet
    load: Callable[[str], Config]
    agents: Callable[[Config], Agents]
    test: Callable[[Config], int]
    profiles: Mapping[str, Profile]
    service: bool  # it is that of the service: keys go where systemd hands them over from


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key for whom the button calls: what it is, which setting names its file, and whether it can do without."""

    title: str
    setting: str
    file: str
    optional: bool = False  # the configuration names no file: a public agent, or a server of one's own


@dataclass(slots=True)
class Draft:
    """The configuration as it will be."""

    place: Place
    before: str
    values: dict[Key, str | int] = field(default_factory=dict)
    key: tuple[Wanted, str] | None = None  # that is to be written; None: there is none, or the one that is there stays

    @property
    def text(self) -> str:
        return amended(self.before, self.values, str(self.place.path))

    @property
    def config(self) -> Config:
        return self.place.load(self.text)

    def set(self, values: Mapping[Key, str | int]) -> None:
        """Set keys together. Raises ConfigError, and then leaves all as they were, when the box would not take it."""
        old, config = dict(self.values), self.config
        try:
            self.values |= {key: value for key, value in values.items() if _value(config, key) != value}
            self.place.load(self.text)
        except ConfigError:
            self.values = old
            raise


def _value(config: Config, key: Key) -> object:
    found: object = config
    for name in key:
        found = getattr(found, name)
    return found


def take(draft: Draft, answers: Answers, ask: bool) -> str | None:
    """Take what was told, and what can be found if there is nobody to `ask`; return the key that was told, if any.

    Raises ConfigError with all that is wrong together.
    """
    key: str | None = None
    problems: list[str] = []
    with _added_to(problems):
        key = None if answers.key_file is None else _one_line(_read(answers.key_file), "--key-file")
    with _added_to(problems):
        if answers.hat is not None:
            _choose_hat(draft, answers.hat, answers.button)
        elif not ask:
            _find_hat(draft, answers.button)
    with _added_to(problems):
        if answers.call is not None or not ask:
            call = draft.config.call.button if answers.call is None else answers.call
            _choose_call(draft, call, answers.agent_id)
            if answers.key_file is not None or not ask:
                _take_key(draft, answers, key)
    with _added_to(problems):
        if answers.button is not None:
            draft.set({("panel", "button"): answers.button})
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return key


@contextmanager
def _added_to(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        problems += error.problems


def ask_for_the_rest(draft: Draft, answers: Answers, key: str | None) -> None:
    """Ask what was not told. Raises EOFError, with the question, when nobody answers any more."""
    if answers.hat is None:
        _ask_for_hat(draft)
    if answers.call is None:
        _ask_for_call(draft, answers.agent_id)
    if key is None:
        _ask_for_key(draft)
    elif answers.call is None:
        _take_key(draft, answers, key)
    if answers.button is None:
        print("4. Which pin is the button at? Its BCM number; -1: there is none.")
        default = str(draft.config.panel.button)
        _ask(f"   pin [{default}]: ", default, lambda pin: draft.set({("panel", "button"): _number(pin)}))


def _likely_hats(draft: Draft) -> list[tuple[Profile, str]]:
    return likely(list(draft.place.profiles.values()), card_ids(), hat_product()[1])


def _hat_found(draft: Draft, found: list[tuple[Profile, str]]) -> str:
    """Return the HAT that is configured, else the only one that it can be."""
    only = found[0][0].name if len(found) == 1 and not _names_a_card(draft.config) else ""
    return draft.config.device.hat or only or NO_HAT


def _find_hat(draft: Draft, button: int | None) -> None:
    found = _likely_hats(draft)
    _choose_hat(draft, _hat_found(draft, found), button)
    if len(found) > 1 and not draft.config.device.hat and not _names_a_card(draft.config):
        print("None is taken, as it may be any of these; say which one: edgevoice setup --hat NAME")
        print("\n".join(f"   {profile.name}: {profile.title}, card {id}" for profile, id in found))


def _ask_for_hat(draft: Draft) -> None:
    print("1. Which sound HAT? Its name; `?` lists all; `none` for a card that [card] names.")
    vendor, product = hat_product()
    if product:
        print(f"   Its memory says: {vendor} {product}")
    found = _likely_hats(draft)
    for profile, id in found:
        print(f"   {profile.name}: {profile.title}, card {id}: it may be this one")
    default = _hat_found(draft, found)
    _ask(f"   HAT [{default}]: ", default, lambda name: _choose_hat(draft, name, _own_button(draft, name)))


def _own_button(draft: Draft, name: str) -> int | None:
    """Return the pin that a HAT's profile has for the button: what is offered for one that the HAT takes."""
    profile = draft.place.profiles.get(name)
    return profile.panel.button if profile else None


def _names_a_card(config: Config) -> bool:
    return not {"card.capture", "card.playback"} <= config.left_out


def _choose_hat(draft: Draft, name: str, button: int | None) -> None:
    """Set the HAT; with the `button`, where that of before is at a pin that the HAT takes. Raises ConfigError."""
    if name == "?":
        listed = [f"   {one.name}: {one.title}" for one in draft.place.profiles.values()]
        raise ConfigError(listed)
    hat: dict[Key, str | int] = {("device", "hat"): "" if name == NO_HAT else name}
    try:
        draft.set(hat)
    except ConfigError:
        with suppress(ConfigError):
            if button is not None:
                draft.set({**hat, ("panel", "button"): button})
                return
        raise


def _ask_for_call(draft: Draft, agent_id: str | None) -> None:
    agents = [f"{name}:ID" if _needs(name).setting else name for name in draft.place.agents(draft.config).names]
    print(f"2. Whom does the button call? An agent: {', '.join(agents)} (ID: which of yours there).")
    lines = _callable_lines(draft.config)
    print(f"   Or somebody over a line, as in {', '.join(lines)}." if lines else f"   {_lines_first(draft)}")
    default = draft.config.call.button
    _ask(f"   call [{default}]: ", default, lambda name: _choose_call(draft, name, agent_id))


def _callable_lines(config: Config) -> list[str]:
    """Return an example of each that can be called over the lines as they are configured."""
    numbers = [target for line in DIALLING if not cannot_dial(config, target := f"{line}:{ANY_NUMBER}")]
    names = [f"sip:{name}" for account in config.line.sip for name in account.targets]
    return [*numbers, *names] if names or not config.line.sip else [*numbers, "sip:100"]


def _lines_first(draft: Draft) -> str:
    return f"A phone line is configured first, in {draft.place.path}: The telephone, in README.md, tells how."


def _choose_call(draft: Draft, target: str, agent_id: str | None) -> None:
    """Set whom the button calls ("parrot", "elevenlabs:ID", "sip:reception") with its id. Raises ConfigError."""
    name, _, id = target.partition(":")
    setting = _needs(name).setting
    if not setting:
        if agent_id is not None:
            raise ConfigError([f"--agent-id: {name} has none"])
        if is_line(target) and not any(line.startswith(f"{name}:") for line in _callable_lines(draft.config)):
            raise ConfigError([f"$.call.button: {cannot_dial(draft.config, target)}. {_lines_first(draft)}"])
        draft.set({("call", "button"): target})
        return
    if id and agent_id not in (None, id):
        raise ConfigError([f"--agent-id: {agent_id}, but the call is to be {target}; leave one of them out"])
    id = id or agent_id or getattr(getattr(draft.config.agent, name), setting)
    if not id:
        whose = _needs(name).key_of
        raise ConfigError(
            [f"$.agent.{name}.{setting}: {name} cannot be called without it; say {name}:ID, as {whose} shows it"]
        )
    draft.set({("call", "button"): name, ("agent", name, setting): id})


def _needs(target: str) -> Needs:
    return NEEDS.get(target, Needs())


def _take_key(draft: Draft, answers: Answers, key: str | None) -> None:
    """Take the key that was told; None: the one that is there has to do. Raises ConfigError."""
    told = answers.key_file is not None
    wanted = wanted_key(draft.config)
    if wanted is None:
        if told:
            raise ConfigError([f"--key-file: {draft.config.call.button} needs no key"])
    elif key is not None:
        _refuse_beside_encrypted(wanted)
        draft.key = _named(draft, wanted), key
    elif not (told or wanted.optional or _is_there(draft, wanted)):
        file = wanted.file or "a file"
        raise ConfigError([f"$.{wanted.setting}: {wanted.title} is not in {file} yet; give it with --key-file"])


def _ask_for_key(draft: Draft) -> None:
    wanted = wanted_key(draft.config)
    if wanted is None:
        return
    there = _is_there(draft, wanted)

    def take(line: str) -> None:
        if line:
            _refuse_beside_encrypted(wanted)
            draft.key = _named(draft, wanted), _one_line(line, "the key")
        elif not there and not wanted.optional:
            raise ConfigError(["the box cannot do without it"])

    print(f"3. {wanted.title}{'; it is not shown' if sys.stdin.isatty() else ''}.")
    default = "the one that is there" if there else "none: it wants none" if wanted.optional else ""
    _ask(f"   key [{default}]: " if default else "   key: ", "", take, hidden=True)


def _named(draft: Draft, wanted: Wanted) -> Wanted:
    """Return the key after its file was named in the configuration, where none was. Raises ConfigError."""
    if wanted.optional:
        draft.set({tuple(wanted.setting.split(".")): wanted.file})
    return wanted


def wanted_key(config: Config) -> Wanted | None:
    """Return the key of whom the button calls, or None where there is none to have."""
    target = config.call.button
    if _needs(target).key_of:
        file = getattr(config.agent, target).api_key_file
        title = f"The API key of {_needs(target).key_of}"
        return Wanted(title, f"agent.{target}.api_key_file", file or _needs(target).file, optional=not file)
    if not is_line(target):
        return None
    line = config.line
    if target.startswith("elks:"):
        words = "The API credentials of 46elks, username:password"
        return Wanted(words, "line.elks.api_credentials_file", line.elks.api_credentials_file)
    if target.startswith("twilio:"):
        return Wanted("The auth token of Twilio", "line.twilio.auth_token_file", line.twilio.auth_token_file)
    name = target.partition(":")[2]
    index = next((index for index, one in enumerate(line.sip) if name in one.targets), 0)
    file = line.sip[index].password_file
    return (
        Wanted(f"The SIP password of {line.sip[index].user}", f"line.sip[{index}].password_file", file)
        if file
        else None
    )


def _refuse_beside_encrypted(wanted: Wanted) -> None:
    """Two keys of one name, of which systemd would take the other one."""
    path = ENCRYPTED / wanted.file
    if path.exists():
        by_hand = f"systemd-creds encrypt --name={wanted.file} - {path}"
        raise ConfigError([f"the key is kept encrypted in {path}; replace it there: sudo {by_hand}"])


def _is_there(draft: Draft, wanted: Wanted) -> bool:
    if (ENCRYPTED / wanted.file).exists():
        return True
    try:
        draft.place.agents(draft.config).files.secret(wanted.file, wanted.setting)
    except ConfigError:
        return False
    return True


def _number(typed: str) -> int:
    try:
        return int(typed)
    except ValueError:
        raise ConfigError(["that is no number, expected one like 17"]) from None


def _ask(question: str, default: str, take: Callable[[str], None], *, hidden: bool = False) -> None:
    """Ask; a person is asked until what they type can be taken. Raises EOFError, and without a terminal ConfigError."""
    while True:
        typed = _answer(question, hidden=hidden)
        try:
            take(typed or default)
            return
        except ConfigError as error:
            if not sys.stdin.isatty():  # lines may be one off: then this is the key
                shown = [
                    problem.replace(typed, "…") if len(typed) >= KEY_LENGTH else problem for problem in error.problems
                ]
                raise ConfigError(shown) from None
            for problem in error.problems:
                print(problem if problem.startswith(" ") else f"   {problem}")


def _answer(question: str, *, hidden: bool = False) -> str:
    """Return a line of standard input. Raises EOFError with the question where there is none, ConfigError for bytes."""
    try:
        if sys.stdin.isatty():
            return (getpass.getpass if hidden else input)(question).strip()
        answer = input(question).strip()
        print()
        return answer
    except EOFError:
        raise EOFError(question.strip()) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{question.strip()} the answer is not text"]) from None  # the error may hold the key


def yes(question: str) -> bool:
    """Ask the fifth question, which "" answers with yes. Raises as `_ask` does."""
    said = "y"

    def take(typed: str) -> None:
        nonlocal said
        said = typed.lower()
        if said not in ("y", "yes", "n", "no"):
            raise ConfigError(["expected y or n"])

    _ask(f"5. {question}", "y", take)
    return said.startswith("y")


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError([f"--key-file: {file} cannot be read: {reason}"]) from None  # the error may hold the key


def _one_line(key: str, where: str) -> str:
    key = key.strip()
    if not key or not key.isprintable():
        raise ConfigError([f"{where}: expected the key on one line and nothing else"])
    return key
