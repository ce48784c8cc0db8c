"""`edgevoice setup`: five questions at most, each of which is also an option; then key and configuration are written.

    HAT -> whom the button calls -> the key -> the button's pin -> a test

Nothing is written before the last answer, and the configuration only if the box would take it.
"""

from __future__ import annotations

import difflib
import getpass
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgevoice.amending import Key, amended
from edgevoice.catalogue import NEEDS, Agents, Needs
from edgevoice.config import is_line
from edgevoice.drivers import machine, state
from edgevoice.drivers.commands import carried_out
from edgevoice.drivers.lamp import spi_is_off
from edgevoice.drivers.profile_files import card_ids, hat_product
from edgevoice.errors import ConfigError, DeviceError
from edgevoice.profiles import Profile, likely
from edgevoice.schema import Config

CREDENTIALS = Path("/etc/credstore")  # where the unit's LoadCredential= finds a key by its bare name
ENCRYPTED = Path("/etc/credstore.encrypted")  # and that of LoadCredentialEncrypted=
STARTS_S = 90.0  # the unit's TimeoutStartSec=, and the longest wait of `restart-delay`
NO_HAT = "none"
REFUSED = "Nothing was changed."


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
class _Draft:
    """The configuration as it will be."""

    place: Place
    before: str
    values: dict[Key, str | int] = field(default_factory=dict)

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


def run(place: Place, answers: Answers, *, ask: bool) -> int:
    """Ask for what `answers` leave open, if there is somebody to `ask`; write; return the exit code."""
    draft = _Draft(place, place.text)
    place.load(draft.before)  # what is wrong already is told before anything is asked, and so is this:
    folder = next(folder for folder in (place.path.parent, *place.path.absolute().parents) if folder.exists())
    if not os.access(folder, os.W_OK):
        raise DeviceError(f"{place.path} cannot be written by you; do it as root: sudo edgevoice setup")
    try:
        _hat(draft, answers.hat, ask)
        _call(draft, answers.call, answers.agent_id, ask)
        key = _key(draft, answers.key_file, ask)
        _button(draft, answers.button, ask)
        test = answers.test if answers.test is not None else ask and _yes("Test it now? [Y/n] ")
    except EOFError:
        print(f"\n{REFUSED}", file=sys.stderr)
        return 1
    take_back = _write_key(place, *key) if key is not None else lambda: None
    try:
        _write(draft)
    except DeviceError:
        take_back()
        raise
    _say_what_is_left(draft)
    return _put_into_service(place, draft.config, test)


# ------------------------------------------------------------------------------------------------------ the questions


def _hat(draft: _Draft, given: str | None, ask: bool) -> None:
    vendor, product = hat_product()
    found = likely(list(draft.place.profiles.values()), card_ids(), product)
    only = found[0][0].name if len(found) == 1 and not _names_a_card(draft.config) else ""
    default = draft.config.device.hat or only or NO_HAT
    if given is None and ask:
        print("1. Which sound HAT? Its name; `?` lists all; `none` for a card that [card] names.")
        if product:
            print(f"   Its memory says: {vendor} {product}")
        for profile, id in found:
            print(f"   {profile.name}: {profile.title}, card {id}: it may be this one")
        _ask(f"   HAT [{default}]: ", default, lambda name: _choose_hat(draft, name))
    else:
        _choose_hat(draft, given if given is not None else default)
        if given is None and len(found) > 1 and not draft.config.device.hat and not _names_a_card(draft.config):
            print("None is taken, as it may be any of these; say which one: edgevoice setup --hat NAME")
            print("\n".join(f"   {profile.name}: {profile.title}, card {id}" for profile, id in found))


def _names_a_card(config: Config) -> bool:
    return not {"card.capture", "card.playback"} <= config.left_out


def _choose_hat(draft: _Draft, name: str) -> None:
    if name == "?":
        listed = [f"   {one.name}: {one.title}" for one in draft.place.profiles.values()]
        raise ConfigError(listed)
    draft.set({("device", "hat"): "" if name == NO_HAT else name})


def _call(draft: _Draft, given: str | None, agent_id: str | None, ask: bool) -> None:
    default = draft.config.call.button
    if given is None and ask:
        names = ", ".join(draft.place.agents(draft.config).names)
        print(f'2. Whom does the button call? An agent ({names}), or a number: "sip:reception", "elks:+46701234567".')
        _ask(f"   call [{default}]: ", default, lambda name: _choose_call(draft, name, agent_id, ask))
    else:
        _choose_call(draft, default if given is None else given, agent_id, ask)


def _choose_call(draft: _Draft, name: str, agent_id: str | None, ask: bool) -> None:
    """Set whom the button calls together with what that cannot be called without. Raises ConfigError."""
    setting = _needs(name).setting
    if not setting:
        if agent_id is not None:
            raise ConfigError([f"--agent-id: {name} has none"])
        draft.set({("call", "button"): name})
        return
    there = getattr(getattr(draft.config.agent, name), setting)
    if agent_id is None and ask:
        agent_id = input(f"   {setting} of {name} [{there}]: ").strip()
    if not (agent_id or there):
        how = "type it" if ask else f"give it with --{setting.replace('_', '-')}"
        raise ConfigError([f"$.agent.{name}.{setting}: {name} cannot be called without it; {how}"])
    draft.set({("call", "button"): name, ("agent", name, setting): agent_id or there})


def _needs(target: str) -> Needs:
    return NEEDS.get(target, Needs())


def _key(draft: _Draft, given: str | None, ask: bool) -> tuple[Wanted, str] | None:
    """Return the key to be written, None where none is wanted, or the one that is there stays. Raises ConfigError."""
    wanted = wanted_key(draft.config)
    if wanted is None:
        if given is not None:
            raise ConfigError([f"--key-file: {draft.config.call.button} needs no key"])
        return None
    if given is not None:
        _refuse_beside_encrypted(wanted)
        return _named(draft, wanted), _one_line(_read(given), "--key-file")
    there = _is_there(draft, wanted) or (ENCRYPTED / wanted.file).exists()
    if not ask:
        if not there and not wanted.optional:
            file = wanted.file or "a file"
            raise ConfigError([f"$.{wanted.setting}: {wanted.title} is not in {file} yet; give it with --key-file"])
        return None
    print(f"3. {wanted.title}; it is not shown.")
    typed: list[str] = []

    def take(line: str) -> None:
        if line:
            _refuse_beside_encrypted(wanted)
            typed.append(_one_line(line, "the key"))
        elif not there and not wanted.optional:
            raise ConfigError(["the box cannot do without it"])

    default = "the one that is there" if there else "none: it wants none" if wanted.optional else ""
    _ask(f"   key [{default}]: " if default else "   key: ", "", take, getpass.getpass)
    return (_named(draft, wanted), typed[-1]) if typed else None


def _named(draft: _Draft, wanted: Wanted) -> Wanted:
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


def _is_there(draft: _Draft, wanted: Wanted) -> bool:
    try:
        draft.place.agents(draft.config).files.secret(wanted.file, wanted.setting)
    except ConfigError:
        return False
    return True


def _button(draft: _Draft, given: int | None, ask: bool) -> None:
    default = draft.config.panel.button
    if given is None and ask:
        print("4. Which pin is the button at? Its BCM number; -1: there is none.")
        _ask(f"   pin [{default}]: ", str(default), lambda pin: draft.set({("panel", "button"): _number(pin)}))
    elif given is not None:
        draft.set({("panel", "button"): given})


def _number(typed: str) -> int:
    try:
        return int(typed)
    except ValueError:
        raise ConfigError([f"{typed!r} is no number, expected one like 17"]) from None


def _ask(question: str, default: str, take: Callable[[str], None], read: Callable[[str], str] | None = None) -> None:
    """Ask until what is typed can be taken. Raises EOFError when the terminal is closed over it."""
    while True:
        try:
            take((read or input)(question).strip() or default)
            return
        except ConfigError as error:
            for problem in error.problems:
                print(problem if problem.startswith(" ") else f"   {problem}")


def _yes(question: str) -> bool:
    return not input(f"5. {question}").strip().lower().startswith("n")


# -------------------------------------------------------------------------------------------------------- what is done


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


def _write_key(place: Place, wanted: Wanted, key: str) -> Callable[[], None]:
    """Write a key for its owner's eyes only; for the service where systemd looks for it. Raises DeviceError.

    Return what takes it back, for a configuration that cannot be written: then nothing has changed.
    """
    bare = "/" not in wanted.file
    folder = CREDENTIALS if place.service and bare else place.path.parent
    path = folder / wanted.file  # an absolute name stays what it is
    before = path.read_bytes() if path.exists() else None
    state.keep(path, f"{key}\n".encode(), mode=0o600)
    print(f"The key is in {path}.")

    def take_back() -> None:
        if before is None:
            path.unlink()
        else:
            state.keep(path, before, mode=0o600)
        print(f"The key in {path} is {'taken back' if before is None else 'the one before'}.", file=sys.stderr)

    return take_back


def _write(draft: _Draft) -> None:
    """Replace the configuration, keep the one before, and show what is different. Raises DeviceError."""
    path, text = draft.place.path.resolve(), draft.text
    if text == draft.before:
        print(f"{path}: nothing to change.")
        return
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise DeviceError(f"{path.parent} cannot be made: {error.strerror}; do it as root (sudo)") from error
    if path.exists():
        state.keep(path.with_name(f"{path.name}.bak"), draft.before.encode(), mode=mode)
    state.keep(path, text.encode(), mode=mode)
    print(f"{path}:")
    lines = difflib.unified_diff(draft.before.splitlines(), text.splitlines(), lineterm="", n=1)
    print("\n".join(f"   {line}" for line in list(lines)[2:] if not line.startswith("@@")))


def _say_what_is_left(draft: _Draft) -> None:
    profile = draft.place.profiles.get(draft.config.device.hat)
    if profile and profile.overlay and not set(profile.ids) & set(card_ids()):
        print(f"The card is not there yet. In /boot/firmware/config.txt: {profile.overlay}; then sudo reboot")
    if spi_is_off(draft.config.panel.light):
        print("The light blinks where it could pulse. In /boot/firmware/config.txt: dtparam=spi=on; then sudo reboot")


def _put_into_service(place: Place, config: Config, test: bool) -> int:
    """Test while nobody else has the card, and let the service run with what is new; return the exit code."""
    if not (place.service and os.geteuid() == 0 and machine.unit() is not None):
        return place.test(config) if test else 0
    try:
        if test:
            carried_out(("systemctl", "stop", machine.UNIT), STARTS_S)
        code = place.test(config) if test else 0
    finally:  # also when the test is given up
        trouble = carried_out(("systemctl", "restart", machine.UNIT), STARTS_S)
    if trouble:
        print(f"The service does not start: {trouble}", file=sys.stderr)
        return 1
    print("The service runs. Press the button.")
    return code
