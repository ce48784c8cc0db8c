"""What a kiosk and an intercom with a HAT are made of, made from its profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from edgevoice.profiles import Profile
from hardware.circuits import BY_MARK, PARTS
from hardware.power import FUSE_A, FUSE_W, watts
from hardware.wiring import light_pin, lit_by_hat

MIC = "the microphone's hole away from the loudspeaker, and the loudspeaker in a chamber of its own"
HEARS = {"microphone": "microphone", "line": "line input"}
SPEAKS = {"speaker": " and amplifier", "line": " and line output", "headphones": "", "own": " and loudspeaker"}
SOCKET = {"line": "the HAT's line output", "headphones": "the Pi's headphone jack"}

Row = tuple[str, str, str]  # pieces, what, why


def kiosk(profile: Profile) -> list[Row]:
    """Return what a kiosk in a room is made of."""
    return [
        (
            "1",
            f"Raspberry Pi {'3 or 4' if profile.output == 'headphones' else 'with 40 pins, 512 MB or more'}",
            "with canceller the box took 70 to 74 MB in calls (`python -m benchmarks.soak_calls --minutes 8`)",
        ),
        *_always(profile),
        *([] if profile.socket else _header(profile)),
        (
            "1",
            "supply of 5.1 V and 3 A, short and thick cable",
            "a voltage that sags shows as crackling and lost calls",
        ),
        *_sound(profile, "in a box of its own, 8 Ω, 3 to 5 W", "more loudness than the room needs is echo"),
        *_hand(profile),
        ("1", "enclosure", MIC),
    ]


def intercom(profile: Profile) -> list[Row]:
    """Return what an intercom in the open is made of."""
    most = max(watts(pi, profile) for pi in ("Pi 3 B", "Pi 4 B"))
    return [
        (
            "1",
            "Raspberry Pi 3 B or 4 B",
            f"Ethernet, as a gate is no place for Wi-Fi; all this is {most:.1f} W at most",
        ),
        *_always(profile),
        *_header(profile),
        ("1", "PoE splitter, 802.3af, isolated, 5 V and 2 A or more", "a PoE HAT wants the header for itself"),
        (
            "1",
            f"fuse of {FUSE_A} A, slow, with its holder, in the plus wire of the 5 V",
            f"{FUSE_W:.0f} W; the header has no fuse",
        ),
        ("1", "surge arrester for Ethernet that lets PoE pass, earthed", "where the cable enters the house"),
        *_sound(profile, "weatherproof (plastic cone, IP65), 8 Ω, 2 to 5 W", "paper swells"),
        *_circuits(),
        ("2", "piece of perfboard with screw terminals", "one at the Pi, one with U1 to K1 behind the locked door"),
        ("1", "enclosure IP65 with a membrane vent", "water condenses in a tight box"),
        ("1", "acoustic membrane before the microphone", "wind, water, insects"),
    ]


def _always(profile: Profile) -> Iterator[Row]:
    """Yield what every box needs, and what the HAT wants beside the Pi."""
    yield "1", "microSD card of 16 GB or more, A1, made for endurance", "the system, the program, the journal"
    if profile.supply:
        words = "so says its maker; two leads of one supply, as two supplies would feed each other"
        yield "1", f"second lead of 5 V, from the same supply, to the HAT's {profile.supply}", words


def _header(profile: Profile) -> Iterator[Row]:
    if profile.pins:
        yield "1", "stacking header, 2 × 20, with long pins, or a breakout of the pins", "the HAT covers what is wired"


def _sound(profile: Profile, loudspeaker: str, why: str) -> Iterator[Row]:
    """Yield what hears and what speaks."""
    yield "1", profile.title, HEARS[profile.input] + SPEAKS[profile.output]
    if profile.input == "line":
        yield "1", "electret microphone, omnidirectional, in a rubber grommet", "the HAT has none"
        yield (
            "1",
            "preamplifier of 30 to 40 dB of fixed gain (MAX4466 board, at 3.3 V) into the left line input",
            "a microphone gives millivolts; automatic gain (MAX9814) turns the room up",
        )
    match profile.output:
        case "own":
            return
        case "speaker":
            yield "1", f"loudspeaker, {loudspeaker}; the HAT drives {profile.loudspeaker}", why
        case "line" | "headphones":
            yield (
                "1",
                "amplifier (class D at 5 V, such as PAM8403; one channel of it), with a cable to its input",
                f"{SOCKET[profile.output]} drives no loudspeaker",
            )
            yield "1", f"loudspeaker, {loudspeaker}", why


def _hand(profile: Profile) -> Iterator[Row]:
    """Yield what a kiosk has for hand and eye."""
    pin = profile.panel.button
    if profile.socket:
        yield "1", f"push button with a lamp, that of the kit, at the {profile.socket} of the HAT", f"GPIO{pin}"
        return
    yield "1", f"push button that closes, between GPIO{pin} and ground", "any that is made for hands"
    if lit_by_hat(profile):
        yield (
            "1",
            "window or light guide in the enclosure, over the LEDs of the HAT",
            "says when the microphone is open",
        )
        return
    led = f"LED, red or green, with {BY_MARK['R2'].what}, between GPIO{light_pin(profile)} and ground"
    yield "1 + 1", led, "says when the microphone is open"


def _circuits() -> Sequence[Row]:
    """Return the parts of the drawing, equal ones in one row."""
    pieces = Counter(part.what for part in PARTS)
    marks = {what: ", ".join(part.mark for part in PARTS if part.what == what) for what in pieces}
    why = {part.what: part.why for part in PARTS}
    return [(str(count), f"{marks[what]}: {what}", why[what]) for what, count in pieces.items()]
