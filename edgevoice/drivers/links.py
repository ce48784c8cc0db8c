"""How this machine is connected: the default route, and what its Wi-Fi does to save power.

Sources: kernel, include/uapi/linux/wireless.h (SIOCGIWPOWER, struct iw_param), and net/wireless/wext-compat.c, which
answers it for the drivers of today: `disabled` is that power save is off.
"""

from __future__ import annotations

import fcntl
import re
import socket
import struct
from pathlib import Path

from edgevoice.doctor.facts import Link, Wireless
from edgevoice.drivers.commands import installed, said, told

ROOT = Path("/")
SIOCGIWPOWER = 0x8B2D
IW_PARAM = struct.Struct("16s i B B H 8x")  # the interface's name; value, fixed, disabled, flags; the rest of the union


def link(root: Path = ROOT) -> Link:
    """Return the way out of this machine, and its Wi-Fi."""
    return Link(_way_out(root), tuple(_wireless(root, path.parent.name) for path in _wireless_interfaces(root)))


def _way_out(root: Path) -> str:
    """Name the interface of the default route, of IPv4 or else of IPv6."""
    for line in told(root / "proc/net/route").splitlines()[1:]:
        interface, destination, *rest = line.split()
        if destination == "00000000" and rest[5] == "00000000":
            return interface
    for line in told(root / "proc/net/ipv6_route").splitlines():
        columns = line.split()
        if set(columns[0]) == {"0"} and columns[1] == "00" and columns[-1] != "lo":
            return columns[-1]
    return ""


def _wireless_interfaces(root: Path) -> list[Path]:
    return sorted((root / "sys/class/net").glob("*/phy80211"))


def _wireless(root: Path, name: str) -> Wireless:
    # Inter-| sta-|   Quality        |   Discarded packets ...
    #  wlan0: 0000   70.  -40.  -256        0      0 ...
    signal = re.search(rf"^\s*{re.escape(name)}:\s+\S+\s+\S+\s+(-?\d+)", told(root / "proc/net/wireless"), re.MULTILINE)
    return Wireless(
        name,
        power_save=power_save_of(said("iw", "dev", name, "get", "power_save"), name),
        signal_dbm=int(signal[1]) if signal and int(signal[1]) < 0 else None,
        can_set=installed("iw"),
    )


def power_save_of(shown: str, name: str) -> bool | None:
    """Read what `iw` prints, or ask the kernel in the old way; None: it does not tell."""
    if shown:
        return "on" in shown.lower().partition(":")[2]
    question = IW_PARAM.pack(name.encode(), 0, 0, 0, 0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            answer = fcntl.ioctl(any_socket, SIOCGIWPOWER, question)
    except OSError:
        return None
    return not IW_PARAM.unpack(answer)[3]
