"""`edgevoice setup`: five questions at most, each of which is also an option; then key and configuration are written.

    HAT -> whom the button calls -> the key -> the button's pin -> a test

Without a terminal the lines of standard input are the answers; a wrong or a missing one ends it, where a person is
asked again. Nothing is written before the last answer, and the configuration only if the box would take it.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from edgevoice.drivers import machine, state
from edgevoice.drivers.commands import carried_out
from edgevoice.drivers.lamp import spi_is_off
from edgevoice.drivers.profile_files import card_ids
from edgevoice.errors import ConfigError, DeviceError
from edgevoice.questions import Answers, Draft, Place, Wanted, ask_for_the_rest, take, yes
from edgevoice.schema import Config

CREDENTIALS = Path("/etc/credstore")  # where the unit's LoadCredential= finds a key by its bare name
STARTS_S = 90.0  # the unit's TimeoutStartSec=, and the longest wait of `restart-delay`
NOTHING_SET = "# Every key has its default: see Configuration in README.md.\n"  # of a file that is made all the same
REFUSED = "Nothing was changed."
HOW_TO_ANSWER = (
    "Answer every question, each on a line of its own (over ssh: ssh -t), or have none asked: edgevoice setup --yes, "
    "with the answers as options (--help)."
)
EX_USAGE = 64


def run(place: Place, answers: Answers, *, ask: bool) -> int:
    """Ask for what `answers` leave open, if there is somebody to `ask`; write; return the exit code."""
    draft = Draft(place, place.text)
    place.load(draft.before)  # what is wrong already is told before anything is asked, and so is this:
    folder = next(folder for folder in (place.path.parent, *place.path.absolute().parents) if folder.exists())
    if not os.access(folder, os.W_OK):
        raise DeviceError(f"{place.path} cannot be written by you; do it as root: sudo edgevoice setup")
    try:
        key = take(draft, answers, ask)
        if ask:
            if not sys.stdin.isatty():
                print("The answers are read from standard input, and a key is not hidden there (for that: ssh -t).")
            ask_for_the_rest(draft, answers, key)
        test = answers.test if answers.test is not None else ask and yes("Test it now? [Y/n] ")
    except EOFError as unanswered:
        if sys.stdin.isatty():
            print(f"\n{REFUSED}", file=sys.stderr)
            return 1
        print(f'\n"{unanswered}" has no answer. {REFUSED} {HOW_TO_ANSWER}', file=sys.stderr)
        return EX_USAGE
    except ConfigError as refused:
        print("\n".join(refused.problems), file=sys.stderr)
        return EX_USAGE
    take_back = _write_key(place, *draft.key) if draft.key is not None else lambda: None
    try:
        _write(draft)
    except DeviceError:
        take_back()
        raise
    _say_what_is_left(draft)
    return _put_into_service(place, draft.config, test)


# -------------------------------------------------------------------------------------------------------- what is done


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


def _write(draft: Draft) -> None:
    """Replace the configuration, keep the one before, and show what is different. Raises DeviceError."""
    path, text = draft.place.path.resolve(), draft.text
    if path.exists() and text == draft.before:
        print(f"{path}: nothing to change.")
        return
    text = text or NOTHING_SET
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


def _say_what_is_left(draft: Draft) -> None:
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
