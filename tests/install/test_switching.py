"""The installed box reboots its machine, a Debian in a container, and switches it off. Needs root, and minutes.

The card is the virtual one, and stands still from the beginning. The machine claims, by every clock that the box can
see, to be up for two hours: a younger one is not rebooted. The tests are one story and follow each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from edgevoice.recovery import REBOOTS, UP_S
from tests.install.debian import Debian, Packages, cannot_reboot
from tests.lab.labcard.labcard import World

pytestmark = pytest.mark.debian
CONFIGURATION = """
[device]
reboot_after = 1
[card]
capture = "mic"
playback = "speaker"
"""
SWITCHES = "edgevoice-switch@reboot.path edgevoice-switch@poweroff.path"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A card that hangs."""
    with World(rate=48_000) as world:
        world.stall()
        yield world


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, packages: Packages, world: World) -> Iterator[Debian]:
    """A Debian with a version of ours on it that could not have its machine rebooted."""
    debian = Debian(tmp_path_factory.mktemp("debian") / "tree")
    try:
        boot(debian, world)
        debian.told(f"dpkg -i {debian.put(packages.version('0.0.9', cannot_reboot))}")
        yield debian
    finally:
        debian.stop()


def boot(box: Debian, world: World) -> None:
    box.boot(f"--bind={world.dir}", up_s=2 * UP_S)


def asked(box: Debian) -> str:
    """Return what the units that switch the machine have said since it was booted."""
    return box.told("journalctl -q -b -o cat -u edgevoice-switch@reboot -u edgevoice-switch@poweroff")


def switching(box: Debian, verb: str) -> str:
    """Return a command that does what the box does about a button that is held long, in its place and as its user."""
    program = "import asyncio, logging; from edgevoice.drivers import systemd"
    program += f"; logging.basicConfig(); asyncio.run(systemd.switch('{verb}'))"
    user = "$(stat -c %u /run/edgevoice/)"
    become = f"setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs"
    service = f"nsenter -t {box.property('MainPID')} -m env RUNTIME_DIRECTORY=/run/edgevoice {become}"
    return f'{service} /opt/edgevoice/current/bin/python -c "{program}"'


def test_an_update_brings_what_switches_the_machine(box: Debian, packages: Packages) -> None:
    assert box.run(f"systemctl is-active {SWITCHES}").stdout.split() == ["inactive", "inactive"]
    box.told(f"dpkg -i {box.put(packages.real)}")
    assert box.told(f"systemctl is-active {SWITCHES}").split() == ["active", "active"]


def test_a_card_that_hangs_has_the_machine_rebooted_twice_and_never_a_third_time(box: Debian, world: World) -> None:
    (box.tree / "etc/edgevoice/edgevoice.toml").write_text(CONFIGURATION)
    drop_in = box.tree / "etc/systemd/system/edgevoice.service.d/card.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(f"[Service]\nEnvironment=ALSA_CONFIG_PATH={world.conf}\n")
    boots = {box.boot_id()}
    box.told("systemctl daemon-reload && systemctl restart edgevoice")
    for _ in range(REBOOTS):
        assert box.switched() == "rebooted"
        boot(box, world)
        box.until("ActiveState", "active")
        boots.add(box.boot_id())
    assert len(boots) == 1 + REBOOTS
    box.hear("Somebody has to look")
    box.told("systemctl restart edgevoice")
    box.hear(f"nor did {REBOOTS} reboots; the next one is a day after that. Somebody has to look", times=2)
    assert box.boot_id() in boots
    assert (box.property("ActiveState"), asked(box)) == ("active", "")
    assert json.loads((box.tree / "var/lib/private/edgevoice/recovery.json").read_text())["reboots"] == REBOOTS


def test_a_wish_that_systemd_cannot_carry_out_is_told_and_not_tried_again(box: Debian) -> None:
    box.told("systemctl mask --runtime reboot.target")
    told = box.run(switching(box, "reboot")).stderr
    assert "the machine was told to reboot and is still up: journalctl -u edgevoice-switch@reboot says why" in told
    assert asked(box).count("Starting edgevoice-switch@reboot.service") == 1
    assert "Call to Reboot failed" in asked(box)
    box.told("systemctl unmask --runtime reboot.target")


def test_a_wish_that_nobody_sees_is_taken_back(box: Debian) -> None:
    box.told(f"systemctl stop {SWITCHES}")
    before = asked(box)
    said = box.run(switching(box, "reboot")).stderr
    assert "the machine cannot be told to reboot: edgevoice-switch@reboot.path does not run" in said
    assert "reboot" not in box.told("ls /run/edgevoice/").split()
    assert asked(box) == before


def test_a_wish_that_a_box_has_left_behind_dies_with_it(box: Debian) -> None:
    before = asked(box)
    box.told(f"touch /run/edgevoice/reboot && kill -KILL {box.property('MainPID')}")
    box.until("NRestarts", "1")
    box.until("ActiveState", "active")
    assert box.told(f"systemctl is-active {SWITCHES}").split() == ["active", "active"]
    assert "reboot" not in box.told("ls /run/edgevoice/").split()
    assert asked(box) == before


def test_the_box_switches_its_machine_off(box: Debian) -> None:
    box.told(f"{switching(box, 'poweroff')} >/dev/null 2>&1 &")
    assert box.switched() == "off"
