"""What the doctor looks at, as values: gathered by drivers, judged by the checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edgevoice.audio.measurement import Sounding
from edgevoice.schema import Card, Lines, Panel

# ----------------------------------------------------------------------------------------------------- the sound


@dataclass(frozen=True, slots=True)
class KernelCard:
    """A sound card as the kernel lists it. Source: /proc/asound/cards, /proc/asound/modules."""

    number: str
    id: str
    driver: str
    name: str
    module: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """A program that has a device of a card open: `what` is "playback", "capture" or "mixer"."""

    pid: int
    program: str
    card: str
    what: str


@dataclass(frozen=True, slots=True)
class Control:
    """A control of a card's mixer; None: it has no such thing."""

    name: str
    percent: int | None
    muted: bool | None


@dataclass(frozen=True, slots=True)
class MixerLook:
    """The card's mixer as it is found, before anybody sets it; `muted` names all playback controls that are."""

    device: str
    loudspeaker: Control | None = None
    microphone: Control | None = None
    capture_device: str = ""  # whose the microphone is; "": the same
    muted: tuple[str, ...] = ()
    trouble: str = ""  # the control that is configured is not there
    automatic: tuple[str, ...] = ()  # controls that turn the microphone up by themselves, and are on


@dataclass(frozen=True, slots=True)
class Obtained:
    """What opening the card came to."""

    rate: int
    period_ms: float
    ahead_ms: float
    capture_channels: int
    playback_channels: int


@dataclass(frozen=True, slots=True)
class Sound:
    """The card. `by_box`: the appliance has it, and was asked instead."""

    card: Card
    cards: tuple[KernelCard, ...]
    kernel: str
    holders: tuple[Holder, ...] = ()
    by_box: bool = False
    obtained: Obtained | None = None
    trouble: str = ""  # why it does not open, or the fault that the box shows
    mixer: MixerLook | None = None
    hat_troubles: tuple[str, ...] = ()  # settings of the HAT's profile that its mixer does not take
    sounding: Sounding | None = None
    sounding_trouble: str = ""
    judged: str = ""  # what the box says of its chirp, knowing how it was calibrated
    changed: bool = False  # and whether it warns of that
    refused: str = ""  # why it does not listen now
    self_test: str = ""  # its last at night, in words
    microphone_dbfs: float | None = None  # as the box hears it now
    muted: bool = False  # by `ctl mute`, in and out of calls


@dataclass(frozen=True, slots=True)
class Cancelling:
    """What takes the echo out; `words` are those of the loader, `asked` is `echo.canceller`."""

    name: str
    words: str
    asked: str
    half_duplex: bool
    trouble: str = ""


# -------------------------------------------------------------------------------------------- button, light, pins


@dataclass(frozen=True, slots=True)
class Pins:
    """The pins. `pressed` and `seen` are None when nobody was asked."""

    panel: Panel
    chips: tuple[str, ...] = ()
    denied: bool = False  # the chips are there, but not for this user
    words: str = ""  # what was claimed
    trouble: str = ""
    by_box: bool = False
    refused: str = ""  # why the box does not try them now
    pressed: bool | None = None
    seen: bool | None = None


# ---------------------------------------------------------------------------------------------------- the network


@dataclass(frozen=True, slots=True)
class Wireless:
    """A Wi-Fi interface; None: not known."""

    name: str
    power_save: bool | None = None
    signal_dbm: int | None = None
    can_set: bool = False  # `iw` is installed


@dataclass(frozen=True, slots=True)
class Link:
    """How this machine is connected. `way_out` names the interface of the default route."""

    way_out: str = ""
    wireless: tuple[Wireless, ...] = ()


@dataclass(frozen=True, slots=True)
class Reached:
    """How far it was to a service: its address, the connection, TLS, what its HTTP says of the time."""

    host: str
    port: int
    tls: bool
    dns_trouble: str = ""
    dns_s: float = 0.0
    trouble: str = ""  # of the connection
    certificate_trouble: str = ""
    dates_wrong: bool = False  # the certificate is expired or not yet valid, by our clock
    version: str = ""
    ahead_s: float | None = None  # how much our clock is ahead of theirs


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of this machine; None: not known."""

    ahead_s: float | None = None
    compared_with: str = ""
    synchronised: bool | None = None
    ntp: bool | None = None
    battery: bool = False  # a real-time clock


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What a service says to a key. `status` of HTTP; 0: there is none, and `trouble` says why."""

    name: str  # of the agent or the line
    host: str
    status: int = 0
    trouble: str = ""
    missing: bool = False  # the key is configured, and is not there or no key
    unreadable: bool = False  # there is a key file, but not for this user
    asked: bool = False
    model: str = ""  # that was asked for, or the agent
    setting: str = "model"  # what names it in the agent's section
    invalid: bool = False  # the service says in words that it is no key


# ---------------------------------------------------------------------------------------------------- phone lines


@dataclass(frozen=True, slots=True)
class LineFacts:
    """The phone lines. `health` is the status of our own address seen from here; 0: not reached, and why."""

    lines: Lines
    by_box: bool = False
    address: str = ""  # where it listens
    trouble: str = ""  # why it does not, or cannot
    certificate: str = ""  # what is wrong with it
    certificate_bad: bool = False  # and whether callers are turned away for it
    secrets: tuple[str, ...] = ()  # what is wrong with tokens
    health: int | None = None
    health_trouble: str = ""


@dataclass(frozen=True, slots=True)
class Registrar:
    """A SIP account's registrar: how far it is from here, and what the running box says of it.

    `registered_s`: for how long the box still is; None: it is not, or does not run. `answers`: it has said something.
    """

    host: str
    transport: str
    dns_trouble: str = ""
    trouble: str = ""  # of the connection
    certificate_trouble: str = ""
    dates_wrong: bool = False
    version: str = ""  # of TLS
    answers: bool = False
    by_box: bool = False
    registered_s: int | None = None
    box_trouble: str = ""


# ---------------------------------------------------------------------------------------------------- the machine


class Kind(Enum):
    """What a file is, to say what may be done about one that is shut: a folder may keep secrets that are not."""

    TEXT = "text"
    FOLDER = "folder"
    SECRET = "secret"


@dataclass(frozen=True, slots=True)
class Needed:
    """A file or folder that the service reads itself, as the user that systemd gives it."""

    path: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Unit:
    """The service as systemd shows it. `active`: active, activating, failed, inactive ...; `sub` says more of it.

    `before`, `before_status`: the program of ExecStartPre= that failed last, and its exit code; "" where none has.
    """

    active: str
    enabled: str
    sub: str = ""  # running, start-pre, auto-restart ...
    restarts: int = 0
    watchdog_s: float = 0.0
    result: str = ""
    exit_status: int = 0
    before: str = ""
    before_status: int = 0


@dataclass(frozen=True, slots=True)
class Power:
    """`throttled` is the firmware's word of flags, `alarm` the kernel's of under-voltage; None: there is none."""

    throttled: int | None = None
    alarm: bool | None = None
    celsius: float | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """The root file system, and whether the state directory can be written."""

    free_bytes: int
    total_bytes: int
    read_only: bool = False
    meant_read_only: bool = False
    state: str = ""
    state_trouble: str = ""
    state_denied: bool = False  # to this user; root can


class Keeping(Enum):
    """Where the system's journal is kept: on the disk, in memory until the power fails, or not at all."""

    KEPT = "kept"
    VOLATILE = "volatile"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Journal:
    """`since` is the local time of its first entry, in words; "" where that cannot be read."""

    keeping: Keeping
    since: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    available_bytes: int
    total_bytes: int
    swaps: tuple[str, ...] = ()  # those on an SD card


@dataclass(frozen=True, slots=True)
class Versions:
    edgevoice: str
    python: str
    alsa: str
    kernel: str
    system: str
    model: str = ""
