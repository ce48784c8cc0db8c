"""The architecture's one drawing, enforced: who may import whom, and what the pure core may not touch."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "edgevoice"
PHONE = ROOT / "tests" / "phone"  # the services at the other end of a line

# From the bottom up. A module may import modules of lower rows only: siblings never import each other.
LAYERS: list[list[str]] = [
    ["events", "errors"],
    ["light", "orders", "lines.sip_ends", "recovery", "amending"],
    [
        "wire",
        "schema",
        "tools",
        "happenings",
        "drawing",
        "responses",
        "suspicion",
        "person",
        "announcement",
        "relays",
        "link",
        "contact",
    ],
    ["agents.draft", "agents.memory", "agents.ending", "agents.renewal"],
    [
        "audio.filling",
        "lines.service",
        "lines.signatures",
        "lines.documents",
        "lines.playback",
        "lines.backlog",
        "lines.sip_words",
    ],
    [
        "audio.pcm",
        "audio.tones",
        "audio.resample",
        "audio.ports",
        "audio.acoustics",
        "audio.echo_level",
        "audio.echo_path",
        "audio.g711",
    ],
    [
        "audio.drift",
        "audio.course",
        "audio.sweep",
        "audio.byte_order",
        "audio.live",
        "audio.conceal",
    ],
    ["agents.agent", "lines.connection", "lines.reading", "lines.dial", "lines.sip_account"],
    ["reading"],
    ["profiles"],
    ["audio.evidence", "audio.recording"],
    ["config", "audio.playout", "audio.delivery", "audio.echo", "audio.reference", "audio.speech", "audio.measurement"],
    [
        "audio.hearing",
        "audio.interruption",
        "audio.line_interruption",
        "audio.calibration",
        "audio.findings",
        "audio.selftest",
    ],
    ["doctor.finding", "doctor.facts"],
    [
        "doctor.sound",
        "doctor.pins",
        "doctor.network",
        "doctor.registrars",
        "doctor.lines",
        "doctor.machine",
        "doctor.screen",
        "doctor.chirp",
    ],
    ["lines.elks", "lines.twilio", "lines.vobiz", "lines.sip", "lines.sending", "lines.ear", "lines.admission"],
    ["agents.openai_session", "agents.elevenlabs_session", "agents.gemini_session"],
    ["pictures", "calibration_picture", "nightly", "health", "redial", "errands", "lines.line"],
    ["scenes", "agents.openai_answers", "agents.openai_sound", "agents.elevenlabs_sound", "agents.gemini_turn"],
    ["audio.duplex", "agents.parrot", "agents.elevenlabs_answers", "agents.gemini_answers", "report"],
    ["conversation", "intercom", "appliance", "agents.openai", "agents.elevenlabs", "agents.gemini"],
    ["call"],
    [
        "drivers.pcm",
        "drivers.pins",
        "drivers.outbox",
        "drivers.certificate",
        "drivers.packets",
        "drivers.sip_door",
        "drivers.commands",
    ],
    ["drivers.tcp"],
    ["drivers.http", "drivers.alarm", "drivers.real_time", "drivers.relay", "drivers.lamp", "drivers.runtime"],
    [
        "drivers.reach",
        "drivers.sip_accounts",
        "drivers.sip_call",
        "drivers.sip_ghosts",
        "drivers.sip_media",
        "drivers.sip_threads",
    ],
    ["drivers.sip_calls"],
    ["bridge", "drivers.*"],
    [
        "files",
        "sound",
        "recordings",
        "doors",
        "mending",
        "watchdog",
        "card_mixer",
        "box_panel",
        "capacity",
        "dialling",
        "visitor",
    ],
    ["line_catalogue", "box_card", "ctl"],
    ["catalogue", "reception", "outgoing", "sip_lines", "self_test"],
    ["line_call"],
    ["switchboard", "stream"],
    ["directory"],
    ["box_call"],
    ["box_control"],
    ["simulation", "box", "headless", "scenery", "calibrate"],
    ["app", "doctor.rounds", "doctor.listening", "doctor.calling", "doctor.hands"],
    ["studio"],
    ["demo", "doctor.visit", "questions", "drill"],
    ["bench", "setup"],
    ["cli"],
    ["__main__", "elevenlabs"],
]
PURE_ROWS = 22  # of LAYERS: no clock, no thread, no socket, no device below this line
FORBIDDEN = {
    *("asyncio", "threading", "time", "socket", "select", "os", "random", "subprocess", "pathlib"),
    *("alsaaudio", "baresip", "gpiozero", "websockets"),
}
ALLOWED_PURE = {"pathlib.PurePosixPath"}


def modules() -> dict[str, Path]:
    """Name every module of the package, without the package's name."""
    files = {path: path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py")}
    return {".".join(name.parts): path for path, name in files.items() if name.name != "__init__"}


def imports(path: Path) -> set[str]:
    """Name everything that is imported anywhere in the file, in functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def row(module: str) -> int:
    for index, names in enumerate(LAYERS):
        if module in names or module.rpartition(".")[0] + ".*" in names:
            return index
    raise AssertionError(f"{module} stands in no row of LAYERS: give it a place in the architecture")


def of_this_package(name: str) -> str | None:
    """Return the module of ours that an import means, or None for others and for the bare package."""
    parts = name.split(".")
    if parts[0] != "edgevoice":
        return None
    known = modules()
    for length in range(len(parts), 1, -1):
        if (module := ".".join(parts[1:length])) in known:
            return module
    return None


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_only_from_rows_below_its_own(module: str) -> None:
    for name in imports(modules()[module]):
        other = of_this_package(name)
        if other and other != module:
            assert row(other) < row(module), f"{module} imports {other}, which is not below it"


@pytest.mark.parametrize("module", sorted(name for name in modules() if row(name) < PURE_ROWS))
def test_the_core_touches_neither_clock_nor_thread_nor_device(module: str) -> None:
    touched = {name.partition(".")[0] for name in imports(modules()[module]) - ALLOWED_PURE}
    assert not touched & FORBIDDEN


def test_the_figures_are_computed_by_code_that_cannot_import_the_program() -> None:
    measuring = [ROOT / "edgevoice_measure.py", ROOT / "edgevoice_promises.py", ROOT / "benchmarks" / "onset.py"]
    for path in measuring:
        assert not {name for name in imports(path) if name.partition(".")[0] == "edgevoice"}, path


def test_the_other_side_of_the_telephone_imports_nothing_of_the_program() -> None:
    for path in PHONE.glob("*.py"):
        assert not {name for name in imports(path) if name.partition(".")[0] == "edgevoice"}, path


def test_the_other_side_of_the_telephone_keeps_virtual_time() -> None:
    shell = {"__main__", "call", "exchange"}
    for path in PHONE.glob("*.py"):
        if path.stem not in shell and not path.stem.startswith("test_"):
            names = imports(path)
            assert not {name.partition(".")[0] for name in names} & (FORBIDDEN - {"random"}), path
            assert not {f"tests.phone.{part}" for part in shell} & {name.rpartition(".")[0] for name in names}, path


def test_nobody_catches_everything() -> None:
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{module}:{node.lineno}"
                assert ast.unparse(node.type) not in ("Exception", "BaseException"), f"{module}:{node.lineno}"
