"""Facts about a machine, read from trees and texts that are made up as kernel and systemd write them."""

from __future__ import annotations

import grp
import json
import os
import struct
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import pytest

from edgevoice import files
from edgevoice.config import load
from edgevoice.doctor.facts import Clock, Holder, Journal, Keeping, KernelCard, Kind, Needed, Power, Unit, Wireless
from edgevoice.drivers.commands import carried_out, installed, said, told
from edgevoice.drivers.links import link, power_save_of
from edgevoice.drivers.machine import (
    account_of,
    chips,
    clock_of,
    disk,
    failed_update,
    journal,
    memory,
    memory_is_counted,
    power,
    shut_for,
    unit_of,
    versions,
)
from edgevoice.drivers.sound_holders import holders, kernel_cards

SHOWN = """\
Result=success
NRestarts=2
ExecMainStatus=0
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
WatchdogUSec=1min 30s
"""
CARDS = """\
 0 [vc4hdmi        ]: vc4-hdmi - vc4-hdmi
                      vc4-hdmi
 1 [Device         ]: USB-Audio - USB Audio Device
                      C-Media Electronics Inc. USB Audio Device at usb-0000:01:00.0-1.3, full speed
 2 [sndrpihifiberry]: RPi-simple - snd_rpi_hifiberry_dacplus
                      snd_rpi_hifiberry_dacplus
"""
ROUTE = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
wlan0	0000A8C0	00000000	0001	0	0	600	00FFFFFF	0	0	0
wlan0	00000000	0100A8C0	0003	0	0	600	00000000	0	0	0
"""
WIRELESS = """\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
 wlan0: 0000   48.  -62.  -256        0      0      0      0      0        0
"""


def write(root: Path, **files: str) -> Path:
    """Write files; in a name `__` stands for a slash, and `_dash_` for a dash."""
    for name, text in files.items():
        path = root / name.replace("_dash_", "-").replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_unit_is_read_as_systemctl_shows_it() -> None:
    assert unit_of(SHOWN) == Unit("active", "enabled", "running", 2, 90.0, "success", 0)
    assert unit_of(SHOWN.replace("1min 30s", "10s")) == Unit("active", "enabled", "running", 2, 10.0, "success", 0)
    assert unit_of(SHOWN.replace("1min 30s", "infinity")) == Unit("active", "enabled", "running", 2, 0.0, "success", 0)


def test_a_unit_that_is_not_installed_or_a_machine_without_systemd_has_none() -> None:
    assert unit_of(SHOWN.replace("LoadState=loaded", "LoadState=not-found")) is None
    assert unit_of("") is None


def test_the_command_before_the_start_that_has_failed_is_named() -> None:
    command = (
        "ExecStartPre={{ path=/opt/bin/restart-delay ; argv[]=/opt/bin/restart-delay "
        "wait ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=7 ; code={} ; status={} }}\n"
    )
    for code, status, before in (
        ("exited", "226", ("restart-delay", 226)),
        ("killed", "9/KILL", ("restart-delay", 9)),
        ("exited", "0", ("", 0)),
        ("(null)", "0/0", ("", 0)),
    ):
        unit = unit_of(SHOWN + command.format(code, status))
        assert unit is not None
        assert (unit.before, unit.before_status) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may try what another user can read")
def test_what_the_user_of_the_service_cannot_read_is_tried_as_that_user() -> None:
    account = account_of("LoadState=loaded\nDynamicUser=yes\nSupplementaryGroups=audio nonsense\n")
    assert account is not None
    assert "nonsense" not in account.groups
    with tempfile.TemporaryDirectory() as name:
        folder, file, key = Path(name), Path(name, "edgevoice.toml"), Path(name, "key")
        for path, mode in ((file, 0o600), (key, 0o640)):
            path.touch()
            path.chmod(mode)
        os.chown(key, 0, grp.getgrnam("audio").gr_gid)
        needed = [Needed(name, Kind.FOLDER), Needed(str(file)), Needed(str(key), Kind.SECRET)]
        folder.chmod(0o755)
        assert shut_for(account, needed) == (Needed(str(file)),), "the key is for its group"
        file.chmod(0o644)
        assert shut_for(account, needed) == ()
        folder.chmod(0o700)
        assert shut_for(account, needed) == tuple(needed)
    assert account_of("LoadState=not-found\n") is None


def test_what_systemd_hands_over_need_not_be_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CREDENTIALS", (str(tmp_path / "credstore"),))
    for name in ("edgevoice.toml", "words.txt", "openai-api-key", "gemini-api-key"):
        (tmp_path / name).touch()
    config = load('call.button = "openai"\nagent.openai.instructions_file = "words.txt"')
    beside = [Needed(str(tmp_path), Kind.FOLDER), Needed(f"{tmp_path}/edgevoice.toml")]
    key, words = Needed(f"{tmp_path}/openai-api-key", Kind.SECRET), Needed(f"{tmp_path}/words.txt")
    assert files.needed(config, tmp_path / "edgevoice.toml") == [*beside, key, words]
    (tmp_path / "credstore").mkdir()
    (tmp_path / "credstore" / "openai-api-key").touch()
    assert files.needed(config, tmp_path / "edgevoice.toml") == [*beside, words]


def test_an_alarm_of_under_voltage_is_found_by_the_name_of_its_chip(tmp_path: Path) -> None:
    write(tmp_path, sys__class__hwmon__hwmon0__name="cpu_thermal\n", sys__class__hwmon__hwmon0__in0_lcrit_alarm="1\n")
    write(tmp_path, sys__class__thermal__thermal_zone0__temp="51234\n")
    assert power(tmp_path) == Power(None, None, 51.234)
    write(tmp_path, sys__class__hwmon__hwmon1__name="rpi_volt\n", sys__class__hwmon__hwmon1__in0_lcrit_alarm="0\n")
    assert power(tmp_path).alarm is False
    write(tmp_path, sys__class__hwmon__hwmon1__in0_lcrit_alarm="1\n")
    assert power(tmp_path).alarm is True


def test_the_flags_of_the_firmware_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = write(tmp_path, bin__vcgencmd="#!/bin/sh\necho throttled=0x50005\n") / "bin/vcgencmd"
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    assert power(tmp_path).throttled == 0x50005


def test_a_root_that_the_kernel_made_read_only_is_told_from_one_that_was_meant_to_be(tmp_path: Path) -> None:
    write(
        tmp_path, proc__mounts="/dev/root / ext4 ro,noatime 0 0\n", etc__fstab="# x\nPARTUUID=1 / ext4 defaults 0 1\n"
    )
    assert (disk(tmp_path / "state", tmp_path).read_only, disk(tmp_path / "state", tmp_path).meant_read_only) == (
        True,
        False,
    )
    write(tmp_path, etc__fstab="PARTUUID=1 / ext4 defaults,ro 0 1\n")
    assert disk(tmp_path / "state", tmp_path).meant_read_only
    write(tmp_path, proc__mounts="/dev/root / ext4 rw,noatime 0 0\n")
    assert not disk(tmp_path / "state", tmp_path).read_only


def test_a_state_directory_that_is_there_is_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    assert disk(tmp_path / "state", tmp_path).state_trouble == ""
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_state_directory_that_is_for_somebody_else_is_told() -> None:
    program = (
        "import json, os, sys; from pathlib import Path; from edgevoice.drivers.machine import disk\n"
        "os.setuid(65534)\n"
        "found = [disk(Path(name)) for name in sys.argv[1:]]\n"
        "print(json.dumps([(one.state_trouble, one.state_denied) for one in found]))"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "state").mkdir(mode=0o755)
        (folder / "locked").mkdir(mode=0o700)
        (folder / "locked" / "state").mkdir()
        (folder / "linked").symlink_to(folder / "locked" / "state")  # as systemd does for a user that comes and goes
        folders = [str(folder / one) for one in ("state", "linked", "not/yet")]
        done = subprocess.run([sys.executable, "-c", program, *folders], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [["Permission denied", True]] * 3


def test_the_journal_says_since_when(tmp_path: Path) -> None:
    folder = tmp_path / "var/log/journal/0123"
    folder.mkdir(parents=True)
    for name, signature, hour in (
        ("system.journal", b"LPKSHHRH", 9),
        ("system@1.journal", b"LPKSHHRH", 7),
        ("system@2.journal", b"nojourna", 5),
        ("user-1000.journal", b"LPKSHHRH", 3),
    ):
        at = datetime(2026, 11, 20, hour, 30).timestamp()
        (folder / name).write_bytes(signature + bytes(176) + struct.pack("<Q", round(at * 1e6)) + bytes(80))
    (folder / "system@3.journal").write_bytes(b"LPKSHHRH")
    assert journal(tmp_path) == Journal(Keeping.KEPT, "2026-11-20 07:30")


def test_whether_memory_is_counted_is_the_kernel_s_word(tmp_path: Path) -> None:
    assert memory_is_counted(tmp_path) is None
    controllers = tmp_path / "sys/fs/cgroup/cgroup.controllers"
    controllers.parent.mkdir(parents=True)
    controllers.write_text("cpuset cpu io pids\n")
    assert memory_is_counted(tmp_path) is False
    controllers.write_text("cpuset cpu io memory pids\n")
    assert memory_is_counted(tmp_path) is True


def test_the_journal_is_where_its_open_file_is(tmp_path: Path) -> None:
    assert journal(tmp_path) == Journal(Keeping.NONE)
    kept, volatile = (tmp_path / place / "log/journal/0123" for place in ("var", "run"))
    kept.mkdir(parents=True)
    assert journal(tmp_path) == Journal(Keeping.NONE)
    (kept / "system.journal").touch()
    assert journal(tmp_path) == Journal(Keeping.KEPT)
    volatile.mkdir(parents=True)
    assert journal(tmp_path) == Journal(Keeping.KEPT), "it has moved"
    (volatile / "system.journal").touch()
    assert journal(tmp_path) == Journal(Keeping.VOLATILE), "what is on the disk is old"


def test_only_swap_on_an_sd_card_counts(tmp_path: Path) -> None:
    swaps = "Filename Type Size Used Priority\n/dev/zram0 partition 1 0 100\n/var/swap file 102396 0 -2\n"
    write(tmp_path, proc__mounts="/dev/mmcblk0p2 / ext4 rw 0 0\n")
    write(tmp_path, proc__meminfo="MemTotal:  900 kB\nMemAvailable:  300 kB\n", proc__swaps=swaps)
    found = memory(tmp_path)
    assert (found.total_bytes, found.available_bytes, found.swaps) == (900 << 10, 300 << 10, ("/var/swap",))
    write(tmp_path, proc__mounts="/dev/nvme0n1p2 / ext4 rw 0 0\n")
    assert memory(tmp_path).swaps == ()


def test_the_clock_is_read_as_timedatectl_shows_it() -> None:
    shown = "Timezone=UTC\nNTP=no\nNTPSynchronized=yes\n"
    assert clock_of(shown, battery=True) == Clock(synchronised=True, ntp=False, battery=True)
    assert clock_of("", battery=False) == Clock()


def test_versions_name_the_system_and_the_model(tmp_path: Path) -> None:
    write(tmp_path, etc__os_dash_release='NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    write(tmp_path, proc__device_dash_tree__model="Raspberry Pi 4 Model B Rev 1.4\0")
    found = versions(tmp_path)
    assert (found.system, found.model) == ("Debian GNU/Linux 12 (bookworm)", "Raspberry Pi 4 Model B Rev 1.4")
    assert found.alsa.startswith("1.")


def test_chips_are_listed(tmp_path: Path) -> None:
    assert chips(tmp_path) == ((), False)
    write(tmp_path, dev__gpiochip0="", dev__gpiochip4="")
    assert chips(tmp_path) == ((f"{tmp_path}/dev/gpiochip0", f"{tmp_path}/dev/gpiochip4"), False)


# ------------------------------------------------------------------------------------------------- who has the card


def sound(root: Path) -> Path:
    return write(root, proc__asound__cards=CARDS, proc__asound__modules=" 0 vc4\n 1 snd_usb_audio\n")


def test_cards_are_read_as_the_kernel_lists_them(tmp_path: Path) -> None:
    assert kernel_cards(tmp_path) == ()
    assert kernel_cards(sound(tmp_path)) == (
        KernelCard("0", "vc4hdmi", "vc4-hdmi", "vc4-hdmi", "vc4"),
        KernelCard("1", "Device", "USB-Audio", "USB Audio Device", "snd_usb_audio"),
        KernelCard("2", "sndrpihifiberry", "RPi-simple", "snd_rpi_hifiberry_dacplus", ""),
    )


def test_who_plays_is_found_by_its_thread_and_named_by_its_process(tmp_path: Path) -> None:
    write(sound(tmp_path), proc__asound__card1__pcm0p__sub0__status="state: RUNNING\nowner_pid   : 413\n")
    write(tmp_path, proc__asound__card1__pcm0c__sub0__status="closed\n")
    write(
        tmp_path,
        proc__413__status="Name:\taplay\nTgid:\t412\n",
        proc__412__comm="aplay\n",
        proc__412__cmdline="aplay\0x",
    )
    assert holders(tmp_path) == (Holder(412, "aplay", "Device", "playback"),)


def test_who_has_the_mixer_open_is_found_in_its_descriptors_and_python_goes_by_the_name_of_its_program(
    tmp_path: Path,
) -> None:
    write(
        sound(tmp_path),
        proc__77__comm="python3\n",
        proc__77__cmdline="/usr/bin/python3\0/opt/edgevoice/bin/edgevoice\0run",
    )
    write(tmp_path, proc__78__comm="wireplumber\n", proc__78__cmdline="wireplumber\0")
    for process, device in ((77, "pcmC1D0c"), (78, "controlC1")):
        (tmp_path / f"proc/{process}/fd").mkdir()
        (tmp_path / f"proc/{process}/fd/5").symlink_to(f"/dev/snd/{device}")
        (tmp_path / f"proc/{process}/fd/6").symlink_to("/dev/null")
    assert holders(tmp_path) == (
        Holder(77, "edgevoice", "Device", "capture"),
        Holder(78, "wireplumber", "Device", "mixer"),
    )
    assert holders(tmp_path, ourselves=77) == (Holder(78, "wireplumber", "Device", "mixer"),)


# --------------------------------------------------------------------------------------------------------- the links


def test_the_way_out_and_the_wifi_are_read_as_the_kernel_tells_them(tmp_path: Path) -> None:
    write(tmp_path, proc__net__route=ROUTE, proc__net__wireless=WIRELESS)
    (tmp_path / "sys/class/net/wlan0/phy80211").mkdir(parents=True)
    found = link(tmp_path)
    assert found.way_out == "wlan0"
    assert [(each.name, each.signal_dbm) for each in found.wireless] == [("wlan0", -62)]


def test_a_way_out_by_ipv6_alone_counts_and_the_kernels_own_refusal_does_not(tmp_path: Path) -> None:
    refusal = f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200       lo\n"
    write(tmp_path, proc__net__ipv6_route=refusal)
    assert link(tmp_path).way_out == ""
    write(tmp_path, proc__net__ipv6_route=refusal + refusal.replace("      lo", "    eth0"))
    assert link(tmp_path).way_out == "eth0"


def test_power_save_is_read_as_iw_prints_it() -> None:
    assert power_save_of("Power save: on\n", "wlan0") is True
    assert power_save_of("Power save: off\n", "wlan0") is False
    assert power_save_of("", "no-such-interface") is None
    assert Wireless("wlan0").power_save is None


def test_a_program_that_is_not_there_or_fails_says_nothing() -> None:
    assert said("no-such-program-anywhere") == ""
    assert said("false") == ""
    assert said("echo", "hello") == "hello\n"
    assert (installed("no-such-program-anywhere"), installed("sh")) == (False, True)


def test_what_went_wrong_with_a_command_is_told_in_its_own_words() -> None:
    assert carried_out(["true"]) == ""
    assert carried_out(["sh", "-c", "echo no right to do so >&2; exit 3"]) == "no right to do so"
    assert carried_out(["false"]) == "exit code 1"
    assert "No such file or directory" in carried_out(["no-such-program-anywhere"])


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert told(tmp_path / "nothing") == ""


def test_the_update_that_was_given_up_is_read(tmp_path: Path) -> None:
    assert failed_update(tmp_path) == ""
    (tmp_path / "opt/edgevoice").mkdir(parents=True)
    (tmp_path / "opt/edgevoice/failed").write_text("version 2 did not come up on 2026-11-28; 1 runs\n")
    assert failed_update(tmp_path) == "version 2 did not come up on 2026-11-28; 1 runs"
