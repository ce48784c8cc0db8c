"""Checks of the machine: the service, power, disk, memory, versions, and the configuration itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from edgevoice.doctor.facts import Disk, Journal, Keeping, Kind, Memory, Needed, Power, Unit, Versions
from edgevoice.doctor.finding import Finding, absent, failed, ok, warning

# The firmware's flags: those of now, and the same 16 bits higher, of some time since it started.
# Source: raspberrypi.com/documentation/computers/os.html#get_throttled
UNDER_VOLTAGE, CAPPED, THROTTLED, HOT = 1, 2, 4, 8
SINCE = 16
# Source: Raspberry Pi's own supplies: 15 W for the 4, 27 W for the 5. That of the 3 is third parties' word.
SUPPLY = "a better supply or a shorter cable: 5.1 V, 2.5 A for a Pi 3, 3 A for a 4, 5 A for a 5"
COOLER = "a heat sink, or holes in the enclosure"
HOT_C = 80.0  # the firmware begins to slow down here. Source: as above, "Frequency management and thermal control"
SMALL_BYTES, FULL_BYTES = 200 << 20, 20 << 20
LOW_MEMORY_BYTES = 48 << 20
# After what Raspberry Pi OS (40-) and raspi-config (80-) have there: the last one counts. systemd/README.md: the cost.
KEEP_JOURNAL = r"""your choice: on the disk a call costs some 100 kB of writing, 5 MB on a day of fifty calls.
F=/etc/systemd/journald.conf.d/90-kept.conf; sudo mkdir -p ${F%/*}
printf '[Journal]\nStorage=persistent\n' | sudo tee $F
sudo systemctl restart systemd-journald; sudo journalctl --flush"""
# Raspberry Pi OS boots with cgroup_disable=memory; the later word counts.
COUNT_MEMORY = "add cgroup_enable=memory to the one line of /boot/firmware/cmdline.txt, then sudo reboot"
# How a service ended without an exit code of its own. Source: systemd.exec(5), $SERVICE_RESULT.
RESULTS = {
    "watchdog": "no sign of life within WatchdogSec=",
    "timeout": "too slow to start or to stop",
    "oom-kill": "out of memory",
    "resources": "systemd had no room for it",
    "protocol": "it never said that it was ready",
    "start-limit-hit": "started too often",
}
# Exit codes that are systemd's own, before the program runs. Source: systemd.exec(5), "Process Exit Codes".
SYSTEMD = {
    200: "CHDIR",
    203: "EXEC",
    214: "SETSCHEDULER",
    216: "GROUP",
    217: "USER",
    218: "CAPABILITIES",
    219: "CGROUP",
    226: "NAMESPACE",
    228: "SECCOMP",
    233: "RUNTIME_DIRECTORY",
    238: "STATE_DIRECTORY",
    243: "CREDENTIALS",
}
EX_NOINPUT, EX_CONFIG = 66, 78  # of `edgevoice run`
UNREAD = "the user of the service cannot read"
AT_BOOT = ("enabled", "enabled-runtime")


def check_configuration(source: str, problems: Sequence[str], shut: Sequence[Needed] = ()) -> tuple[Finding, ...]:
    """Is the configuration good, and can the service read it? `shut` are the files that it cannot."""
    advice = f"correct {source}; the rest was looked at with the defaults"
    found = [failed("configuration", problem, advice) for problem in problems]
    if folders := [one.path for one in shut if one.kind is Kind.FOLDER]:  # what is in them is shut with them
        advice = f"sudo chmod a+x {' '.join(folders)}; look first whether secrets in there are for everybody to read"
        return *found, failed("configuration", f"{UNREAD} {', '.join(folders)}", advice)
    if texts := [one.path for one in shut if one.kind is Kind.TEXT]:
        fix = ("chmod", "a+rX", *texts)
        found.append(failed("configuration", f"{UNREAD} {', '.join(texts)}", f"sudo {' '.join(fix)}", fix))
    for one in shut:
        if one.kind is Kind.SECRET:
            advice = "hand it over with LoadCredential=, or give it to a group of the service: systemd/README.md, Keys"
            found.append(failed("configuration", f"{UNREAD} the secret {one.path}", advice))
    return tuple(found) or (ok("configuration", source),)


def check_unit(unit: Unit | None, running: bool) -> Finding:
    """Does systemd keep the box running?"""
    name, restart = "service", "sudo systemctl restart edgevoice"
    if unit is None:
        return absent(name, "edgevoice runs, but not as a service" if running else "not installed as a service")
    because = _because(unit)
    advice = "journalctl -u edgevoice -n 30 says why"
    if unit.active == "failed":
        if unit.exit_status == EX_CONFIG:
            advice = "see: configuration; then sudo systemctl start edgevoice"
        return failed(name, f"it has failed{because} and is not started again", advice)
    if unit.sub == "auto-restart" or (unit.active == "activating" and unit.restarts):
        if unit.exit_status == EX_NOINPUT:
            advice = f"see: configuration; {advice}"
        return failed(name, f"it dies again and again: {_times(unit.restarts)} so far{because}", advice)
    if unit.active == "inactive" and unit.enabled in AT_BOOT:
        return failed(name, "it starts at boot, but does not run now", f"{restart}; {advice}")
    if unit.active != "active":
        return warning(name, f"it is {unit.active}", f"{restart}, if it ought to run")
    if not running:
        return failed(name, "it is active, but does not answer on its socket", restart)
    if unit.enabled not in AT_BOOT:
        fix = ("systemctl", "enable", "edgevoice")
        return warning(name, f"it runs, but does not start at boot ({unit.enabled})", "sudo " + " ".join(fix), fix)
    if not unit.watchdog_s:
        return warning(name, "it runs, but nobody watches it", "WatchdogSec=10 in its unit")
    if unit.restarts:
        words = f"it runs, and was restarted {_times(unit.restarts)} since it was loaded"
        return warning(name, words, "journalctl -u edgevoice -p warning")
    return ok(name, f"active, starts at boot, watchdog {unit.watchdog_s:g} s")


def _because(unit: Unit) -> str:
    """Say how it ended, in brackets; "" where systemd does not know it any more."""
    whose, status = (
        (f"{unit.before}, which runs before it: ", unit.before_status) if unit.before else ("", unit.exit_status)
    )
    match unit.result:
        case "" | "success":
            return ""
        case "exit-code":
            systemd = f", {SYSTEMD[status]}: systemd could not prepare its start" if status in SYSTEMD else ""
            return f" ({whose}exit code {status}{systemd})"
        case "signal" | "core-dump":
            return f" ({whose}killed by signal {status})"
    return f" ({RESULTS.get(unit.result, unit.result)})"


def _times(count: int) -> str:
    return f"{count} time{'' if count == 1 else 's'}"


def check_update(failure: str) -> tuple[Finding, ...]:
    """Did the last update come up? `failure` says which did not."""
    advice = "journalctl -u edgevoice says why; the next update is tried again"
    return (warning("update", failure, advice),) * bool(failure)


def check_fault(fault: str) -> tuple[Finding, ...]:
    """Does the box itself show a fault?"""
    return (
        failed(
            "fault", f"the box shows: {fault}", "it tries again by itself; if it stays: journalctl -u edgevoice -n 30"
        ),
    ) * bool(fault)


def check_power(power: Power) -> Finding:
    """Does it get enough voltage, and is it cool enough?"""
    celsius = "" if power.celsius is None else f", {power.celsius:.0f} °C"
    flags = power.throttled or 0
    if flags & UNDER_VOLTAGE:
        return failed("power", f"under-voltage now{celsius}: sound breaks off, the SD card suffers", SUPPLY)
    if flags & (HOT | THROTTLED | CAPPED) or (power.celsius or 0) >= HOT_C:
        return warning("power", f"it is slowed down because it is too hot{celsius}", COOLER)
    if power.alarm or flags & UNDER_VOLTAGE << SINCE:
        return warning("power", f"under-voltage since it started{celsius}", SUPPLY)
    if flags & (HOT | THROTTLED) << SINCE:
        return warning("power", f"it has been slowed down because it was too hot{celsius}", COOLER)
    if power.throttled is None and power.alarm is None:
        return absent("power", f"this machine does not tell its voltage{celsius}")
    return ok("power", f"no under-voltage since it started{celsius}")


def check_disk(disk: Disk) -> Finding:
    """Is there room, and can be written what must be?"""
    free = f"{_size(disk.free_bytes)} of {_size(disk.total_bytes)} free"
    if disk.read_only and not disk.meant_read_only:
        advice = "back it up now: dmesg | grep -i -e mmc -e ext4"
        return failed("disk", "the root is read-only and was not meant to be: a failing SD card", advice)
    if disk.state_trouble:
        advice = "calibrate keeps its result there: make it writable, or mount something there"
        if disk.state_denied:
            advice = "calibrate keeps its result there: sudo edgevoice calibrate"
        whom = " by you" if disk.state_denied else ""
        return warning("disk", f"{disk.state} cannot be written{whom}: {disk.state_trouble}", advice)
    if disk.read_only:
        return ok("disk", f"read-only, as it is meant to be; {free}")
    if disk.free_bytes < FULL_BYTES:
        return failed("disk", f"it is full: {free}", "sudo journalctl --vacuum-size=50M; sudo apt clean")
    if disk.free_bytes < SMALL_BYTES:
        return warning("disk", f"it is nearly full: {free}", "sudo journalctl --vacuum-size=50M; sudo apt clean")
    return ok("disk", free)


def _size(count: int) -> str:
    return f"{count / (1 << 30):.0f} GB" if count >= 10 << 30 else f"{count >> 20} MB"


def check_journal(journal: Journal) -> Finding:
    """Is what happened at night still there in the morning, also after a power cut?"""
    since = f", since {journal.since}" if journal.since else ""
    match journal.keeping:
        case Keeping.KEPT:
            return ok("journal", f"on the disk{since}; journalctl -u edgevoice -b -1: what was before the last boot")
        case Keeping.VOLATILE:
            return warning("journal", f"in memory only{since}: gone when the power fails", KEEP_JOURNAL)
        case Keeping.NONE:
            return absent("journal", "there is none on this machine")
    assert_never(journal.keeping)


def check_memory_limit(limited: bool | None, service: bool) -> Finding:
    """Does the kernel hold the service to the memory that its unit allows?"""
    name = "memory limit"
    if not service:
        return absent(name, "not installed as a service, so nothing sets one")
    if limited is None:
        return absent(name, "the kernel does not say whether it counts memory")
    if not limited:
        words = "MemoryMax= of the service does nothing: the kernel does not count memory, so a leak takes all"
        return warning(name, words, COUNT_MEMORY)
    return ok(name, "the kernel holds the service to MemoryMax= of its unit")


def check_memory(memory: Memory) -> Finding:
    """Is there memory, and is none of it on the SD card?"""
    free = f"{memory.available_bytes >> 20} MB of {memory.total_bytes >> 20} available"
    if memory.available_bytes < LOW_MEMORY_BYTES:
        return warning("memory", f"there is little: {free}", "free -m; systemctl status shows what runs beside us")
    if memory.swaps:
        words = f"{free}, swap on {', '.join(memory.swaps)}: it wears the SD card, and sound waits for it"
        return warning(
            "memory", words, "sudo swapoff -a; to keep it off: sudo apt remove dphys-swapfile, or zram in swap.conf(5)"
        )
    return ok("memory", free)


def check_versions(versions: Versions) -> Finding:
    """Name what runs here: what a report of trouble needs."""
    model = f"{versions.model}, " if versions.model else ""
    return ok(
        "versions",
        f"edgevoice {versions.edgevoice}, Python {versions.python}, alsa-lib {versions.alsa}, "
        f"kernel {versions.kernel}, {model}{versions.system}",
    )
