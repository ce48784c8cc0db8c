"""Facts about this machine, from the kernel, systemd and the Pi's firmware. `root` is another one in tests."""

from __future__ import annotations

import ctypes
import grp
import os
import platform
import pwd
import re
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgevoice import __version__
from edgevoice.doctor.facts import Clock, Disk, Journal, Keeping, Memory, Needed, Power, Unit, Versions
from edgevoice.drivers.commands import LIMIT_S, said, told

ROOT = Path("/")
SD_CARD = "/dev/mmcblk"
UNIT = "edgevoice.service"
PROPERTIES = "LoadState,ActiveState,SubState,UnitFileState,NRestarts,WatchdogUSec,Result,ExecMainStatus,ExecStartPre"
WHOSE = "LoadState,DynamicUser,User,Group,SupplementaryGroups"
# A command as `systemctl show` prints it. Source: systemd, src/systemctl/systemctl-show.c, print_property.
COMMAND = re.compile(r"^ExecStartPre=\{ path=(\S+) .*ignore_errors=no .*code=(\w+) ; status=(\d+)", re.MULTILINE)
SHUT = 'for file; do if test -d "$file"; then test -x "$file"; else test -r "$file"; fi || echo "$file"; done'
NOBODY = 65534  # as little as the user of a service with DynamicUser=yes; a file of either one is a file of strangers
JOURNAL_HEAD = struct.Struct("<8s176xQ")  # the signature, and head_entry_realtime
TIME = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def unit() -> Unit | None:
    """Return how systemd sees the service, or None where it is not installed, or systemd does not run."""
    return unit_of(said("systemctl", "show", UNIT, f"--property={PROPERTIES}"))


def unit_of(shown: str) -> Unit | None:
    """Read what `systemctl show` prints."""
    found = dict(line.partition("=")[::2] for line in shown.splitlines())
    if found.get("LoadState") != "loaded":
        return None
    return Unit(
        active=found.get("ActiveState", ""),
        enabled=found.get("UnitFileState", ""),
        sub=found.get("SubState", ""),
        restarts=int(found.get("NRestarts") or 0),
        watchdog_s=_span_s(found.get("WatchdogUSec", "")),
        result=found.get("Result", ""),
        exit_status=int(found.get("ExecMainStatus") or 0),
        **_failed_before(shown),
    )


def _failed_before(shown: str) -> dict[str, Any]:
    """Return which command before the start was the last to fail, if one did, and its exit code or signal."""
    failed = [(path, int(status)) for path, code, status in COMMAND.findall(shown) if code != "exited" or status != "0"]
    ended = [(path, status) for path, status in failed if status]  # 0 and no code: it has not run, or runs
    return {"before": Path(ended[-1][0]).name, "before_status": ended[-1][1]} if ended else {}


def shut(needed: Sequence[Needed]) -> tuple[Needed, ...]:
    """Return those that the service's user cannot read; none where that cannot be tried: no service, or not as root."""
    if os.geteuid() != 0 or not (whose := account_of(said("systemctl", "show", UNIT, f"--property={WHOSE}"))):
        return ()
    try:
        return shut_for(whose, needed)
    except (OSError, subprocess.SubprocessError):  # we may not be somebody else here; a disk that does not answer
        return ()


@dataclass(frozen=True, slots=True)
class Account:
    """As whom the service runs."""

    user: str | int
    group: str | int
    groups: tuple[str, ...] = ()


def account_of(shown: str) -> Account | None:
    """Read what `systemctl show` prints of the service's user; None: there is no service, or no such user."""
    found = dict(line.partition("=")[::2] for line in shown.splitlines())
    if found.get("LoadState") != "loaded":
        return None
    known = {group.gr_name for group in grp.getgrall()}
    groups = tuple(name for name in found.get("SupplementaryGroups", "").split() if name in known)
    if found.get("DynamicUser") == "yes":
        return Account(NOBODY, NOBODY, groups)
    try:
        user = pwd.getpwnam(found.get("User") or "root")
    except KeyError:  # then the service does not start either, and says so
        return None
    return Account(user.pw_name, found.get("Group") or user.pw_gid, groups)


def shut_for(whose: Account, needed: Sequence[Needed]) -> tuple[Needed, ...]:
    """Return which of these files that user cannot read, and which folders not enter: it is tried as this user."""
    command = ["/bin/sh", "-c", SHUT, "sh", *(one.path for one in needed)]
    tried = subprocess.run(
        command,
        user=whose.user,
        group=whose.group,
        extra_groups=whose.groups,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return tuple(one for one in needed if one.path in tried.stdout.splitlines())


def _span_s(text: str) -> float:
    """Read a span of time as systemd prints it: "10s", "1min 30s", "infinity"."""
    return sum(float(number) * TIME[unit] for number, unit in re.findall(r"([\d.]+)(us|ms|s|min|h)\b", text))


def failed_update(root: Path = ROOT) -> str:
    """Return which version did not come up and was given up again, "" if none was; written by `packaging/release`."""
    return told(root / "opt/edgevoice/failed")


def power(root: Path = ROOT) -> Power:
    """Return what the firmware says of voltage and heat.

    Source: kernel, Documentation/hwmon/raspberrypi-hwmon.rst (in0_lcrit_alarm of the chip "rpi_volt").
    """
    flags = re.search(r"throttled=0x([0-9a-fA-F]+)", said("vcgencmd", "get_throttled"))
    alarms = [
        told(chip / "in0_lcrit_alarm") == "1"
        for chip in sorted((root / "sys/class/hwmon").glob("hwmon*"))
        if told(chip / "name") == "rpi_volt"
    ]
    heat = told(root / "sys/class/thermal/thermal_zone0/temp")
    return Power(
        throttled=int(flags[1], 16) if flags else None,
        alarm=any(alarms) if alarms else None,
        celsius=int(heat) / 1000 if heat.lstrip("-").isdigit() else None,
    )


def disk(state: Path, root: Path = ROOT) -> Disk:
    """Return how full the root is, and whether it, and the state directory, can be written."""
    room = os.statvfs(root)
    mounted = _options(told(root / "proc/mounts"))
    meant = _options(told(root / "etc/fstab"))
    trouble, denied = _unwritable(state)
    return Disk(
        free_bytes=room.f_bavail * room.f_frsize,
        total_bytes=room.f_blocks * room.f_frsize,
        read_only="ro" in mounted,
        meant_read_only="ro" in meant or not meant,
        state=str(state),
        state_trouble=trouble,
        state_denied=denied,
    )


def _options(table: str) -> set[str]:
    """Return the options of the root in a table of file systems; the last mount counts."""
    rows = [line.split() for line in table.splitlines() if not line.lstrip().startswith("#")]
    roots = [row[3] for row in rows if len(row) > 3 and row[1] == "/"]
    return set(roots[-1].split(",")) if roots else set()


def _unwritable(state: Path) -> tuple[str, bool]:
    """Say why nothing can be kept there, "" when it can, and whether that is for this user only.

    Where it is not there yet, it is the folder in which it would be made that counts.
    """
    there = next(folder for folder in (state, *state.parents) if os.path.lexists(folder))
    try:
        with tempfile.NamedTemporaryFile(dir=there):
            return "", False
    except OSError as error:
        return error.strerror or str(error), isinstance(error, PermissionError)


def journal(root: Path = ROOT) -> Journal:
    """Return where journald writes now, and since when: its file is in /run until it has moved to /var.

    Source: systemd-journald.service(8), Files; journald.conf(5), Storage=.
    """
    for keeping, folder in ((Keeping.VOLATILE, "run/log/journal"), (Keeping.KEPT, "var/log/journal")):
        if any((root / folder).glob("*/system.journal")):  # what is left in /var when it is in /run is old
            return Journal(keeping, _since((root / folder).glob("*/system*.journal")))
    return Journal(Keeping.NONE)


def _since(files: Iterable[Path]) -> str:
    """Return the local time of the first entry of these journal files, "" when none has one that we may read."""
    first_us = min(filter(None, map(_first_entry_us, files)), default=0)
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(first_us / 1e6)) if first_us else ""


def _first_entry_us(file: Path) -> int:
    """Return when a journal file begins, in microseconds since 1970; 0: it is empty, no journal, or not for us.

    Source: systemd.io/JOURNAL_FILE_FORMAT, "Header": head_entry_realtime.
    """
    try:
        with file.open("rb") as opened:
            header = opened.read(JOURNAL_HEAD.size)
    except OSError:
        return 0
    if len(header) < JOURNAL_HEAD.size:
        return 0
    signature, first_us = JOURNAL_HEAD.unpack(header)
    return int(first_us) if signature == b"LPKSHHRH" else 0


def memory_is_counted(root: Path = ROOT) -> bool | None:
    """Tell whether the kernel can hold a service to so much memory; None: it has no unified control groups.

    Source: kernel, Documentation/admin-guide/cgroup-v2.rst, cgroup.controllers.
    """
    if not (file := root / "sys/fs/cgroup/cgroup.controllers").exists():
        return None
    return "memory" in told(file).split()


def memory(root: Path = ROOT) -> Memory:
    """Return how much there is, and what of it would be on an SD card."""
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", told(root / "proc/meminfo"), re.MULTILINE))
    swaps = [line.split()[0] for line in told(root / "proc/swaps").splitlines()[1:] if line.split()]
    of_root = [line.split()[0] for line in told(root / "proc/mounts").splitlines() if line.split()[1:2] == ["/"]]
    root_on_card = any(device == "/dev/root" or SD_CARD in device for device in of_root)
    return Memory(
        available_bytes=int(sizes.get("MemAvailable", 0)) << 10,
        total_bytes=int(sizes.get("MemTotal", 0)) << 10,
        swaps=tuple(swap for swap in swaps if SD_CARD in swap or (root_on_card and not swap.startswith("/dev/"))),
    )


def clock(root: Path = ROOT) -> Clock:
    """Return what timedatectl knows of the clock."""
    return clock_of(said("timedatectl", "show"), battery=any((root / "sys/class/rtc").glob("rtc*")))


def clock_of(shown: str, *, battery: bool) -> Clock:
    """Read what `timedatectl show` prints."""
    found = dict(line.partition("=")[::2] for line in shown.splitlines())
    known = {"yes": True, "no": False}
    return Clock(
        synchronised=known.get(found.get("NTPSynchronized", "")), ntp=known.get(found.get("NTP", "")), battery=battery
    )


def versions(root: Path = ROOT) -> Versions:
    """Name what runs here."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', told(root / "etc/os-release"), re.MULTILINE))
    return Versions(
        edgevoice=__version__,
        python=platform.python_version(),
        alsa=_alsa_version(),
        kernel=f"{platform.release()} {platform.machine()}",
        system=release.get("PRETTY_NAME", "unknown system"),
        model=told(root / "proc/device-tree/model"),
    )


def _alsa_version() -> str:
    try:
        version = ctypes.CDLL("libasound.so.2").snd_asoundlib_version
    except (OSError, AttributeError):
        return "not there"
    version.restype = ctypes.c_char_p
    return str(version().decode())


def chips(root: Path = ROOT) -> tuple[tuple[str, ...], bool]:
    """Return the GPIO chips, and whether they may not be used by this user."""
    found = tuple(str(path) for path in sorted((root / "dev").glob("gpiochip*")))
    return found, bool(found) and not os.access(found[0], os.R_OK | os.W_OK)
