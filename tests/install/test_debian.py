"""The package on a Debian that boots: installed, killed, hung, updated, gone back, removed. Needs root, and minutes.

The tests are one story and follow each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.install.commands import try_every_command
from tests.install.debian import MARK, PYTHON, Debian, Packages, does_not_start, hangs, has_a_unit_that_cannot_run

pytestmark = pytest.mark.debian
CONFIGURATION = "/etc/edgevoice/edgevoice.toml"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, packages: Packages) -> Iterator[Debian]:
    """A Debian on which the package was installed while it ran."""
    debian = Debian(tmp_path_factory.mktemp("debian") / "tree")
    try:
        debian.boot()
        debian.told(f"dpkg -i {debian.put(packages.real)}")
        yield debian
    finally:
        debian.stop()


def running(box: Debian) -> str:
    """Return the version that answers."""
    return box.told("edgevoice ctl status | sed -n 's/^version *//p'")


def links(box: Debian) -> list[str]:
    return box.told("readlink /opt/edgevoice/current /opt/edgevoice/previous").split()


def test_it_is_ready_starts_at_boot_and_is_locked_up(box: Debian) -> None:
    assert box.property("ActiveState") == "active"
    assert box.told("systemctl is-enabled edgevoice") == "enabled"
    assert box.property("StatusText").startswith("fault: card.playback"), "there is no card, and it says so"
    (exposure,) = re.findall(r"exposure level .*: ([\d.]+)", box.told("systemd-analyze security edgevoice --no-pager"))
    assert float(exposure) <= 1.5
    assert box.told("systemctl --failed --no-legend") == ""


def test_every_command_runs_where_it_is_installed(box: Debian) -> None:
    try_every_command(box)


def test_it_writes_nothing_where_it_may_not(box: Debian) -> None:
    changed = box.told(
        "systemctl restart edgevoice; find / -xdev -newer /run/edgevoice/deaths -type f -not -path '/var/log/*'"
    )
    assert changed == ""


def test_a_box_that_keeps_dying_is_started_ever_more_slowly(box: Debian) -> None:
    for deaths in range(1, 5):
        box.told(f"kill -KILL {box.property('MainPID')}")
        box.until("NRestarts", str(deaths))
        box.until("ActiveState", "active")
    said = re.findall(r"starts again in (\d+) s", box.told("journalctl -u edgevoice -o cat"))
    assert said == ["1", "2", "4"]
    box.told("systemctl restart edgevoice")
    assert box.told("cut -d' ' -f1 /run/edgevoice/deaths") == "0", "who restarts it does not wait"


def test_a_box_that_hangs_is_started_again(box: Debian) -> None:
    box.told(f"kill -STOP {box.property('MainPID')}")
    box.until("NRestarts", "1")
    box.until("ActiveState", "active")
    assert "Watchdog timeout" in box.told("journalctl -u edgevoice -o cat")


def test_a_mistake_in_the_configuration_is_told_and_not_tried_again(box: Debian) -> None:
    box.told(f"cp {CONFIGURATION} /root/good && echo 'nonsense = 1' > {CONFIGURATION}")
    assert box.run("systemctl restart edgevoice").returncode == 1
    assert (box.property("ActiveState"), box.property("NRestarts")) == ("failed", "0")
    assert box.property("ExecMainStatus") == "78"
    box.told(f"mv /root/good {CONFIGURATION} && systemctl restart edgevoice")


def test_a_configuration_that_only_root_can_read_is_found_by_doctor_and_opened(box: Debian) -> None:
    box.told(f"chmod 600 {CONFIGURATION}")
    assert box.run("systemctl restart edgevoice").returncode == 1
    box.until("ExecMainStatus", "66")
    doctor = "edgevoice doctor --no-interaction --silent"
    said = f"the user of the service cannot read {CONFIGURATION}"
    assert said in box.run(doctor).stdout
    assert said not in box.run(f"{doctor} --fix >/dev/null; {doctor}").stdout
    assert box.told(f"stat -c %a {CONFIGURATION}") == "644"
    box.until("ActiveState", "active")  # it is tried again by itself


def test_setup_hands_the_key_to_the_service(box: Debian) -> None:
    said = box.told("echo sk-plain | edgevoice setup --yes --call openai --key-file -")
    assert "The service runs." in said
    assert "sk-plain" not in said
    assert box.property("ActiveState") == "active"
    assert box.told("stat -c %a /etc/credstore/openai-api-key") == "600"
    assert box.told("cat /run/credentials/edgevoice.service/openai-api-key") == "sk-plain"


def test_a_key_may_be_encrypted(box: Debian) -> None:
    folder = "/etc/credstore.encrypted"
    encrypted = f"systemd-creds encrypt --with-key=host --name=openai-api-key - {folder}/openai-api-key"
    drop_in = "/etc/systemd/system/edgevoice.service.d"
    box.told(f"mkdir -p -m 700 {folder} && echo sk-sealed | {encrypted} && rm /etc/credstore/openai-api-key")
    box.told(f"mkdir {drop_in}; printf '[Service]\\nLoadCredentialEncrypted=openai-api-key\\n' > {drop_in}/key.conf")
    box.told("systemctl daemon-reload && systemctl restart edgevoice")
    assert box.told("cat /run/credentials/edgevoice.service/openai-api-key") == "sk-sealed"
    assert "sk-sealed" not in box.told(f"cat {folder}/openai-api-key")
    box.told(f"rm -r {drop_in} {folder}; systemctl daemon-reload; edgevoice setup --yes --call parrot")


def test_an_update_runs_and_keeps_the_configuration(box: Debian, packages: Packages) -> None:
    box.told(f"echo '# mine' >> {CONFIGURATION}")
    box.told(f"dpkg -i {box.put(packages.version('9.1'))}")
    assert running(box) == "9.1"
    assert box.told(f"tail -n 1 {CONFIGURATION}") == "# mine"


@pytest.mark.parametrize(
    ("version", "fault"), [("9.2", does_not_start), ("9.3", hangs), ("9.4", has_a_unit_that_cannot_run)]
)
def test_an_update_that_does_not_come_up_goes_back(
    box: Debian, packages: Packages, version: str, fault: Callable[[Path, Path], None]
) -> None:
    before = links(box)
    said = box.told(f"dpkg -i {box.put(packages.version(version, fault))}")
    assert f"version {version}{MARK} does not come up" in said
    assert f"so version 9.1{MARK} runs again" in said
    assert links(box)[0] == f"9.1{MARK}" == before[0]
    assert (running(box), box.property("ActiveState")) == ("9.1", "active")
    assert version in box.told("cat /opt/edgevoice/failed")


def test_the_next_update_is_tried_and_one_can_go_back_by_hand(box: Debian, packages: Packages) -> None:
    box.told(f"dpkg -i {box.put(packages.version('9.5'))}")
    assert running(box) == "9.5"
    assert box.property("FragmentPath").endswith("/lib/systemd/system/edgevoice.service"), "the package's own"
    box.told("/opt/edgevoice/current/bin/release back")
    assert running(box) == "9.1"
    assert links(box) == [f"9.1{MARK}", f"9.5{MARK}"]


def test_when_python_is_updated_it_is_compiled_again(box: Debian) -> None:
    compiled = f"/opt/edgevoice/current/bytecode/usr/lib/python{PYTHON}/json/__init__.cpython-311.opt-2.pyc"
    box.told(f"touch -d 2001-01-01 {compiled}; dpkg-trigger --no-await /usr/lib/python{PYTHON}; dpkg --configure -a")
    assert box.told(f"find {compiled} -newermt 2002-01-01") == compiled


def test_a_package_that_could_not_be_removed_runs_as_before(box: Debian) -> None:
    (box.tree / "root/bad").mkdir()
    rm = box.tree / "root/bad/rm"
    rm.write_text("#!/bin/sh\ncase $* in *' /opt/edgevoice') exit 1 ;; esac\nexec /bin/rm \"$@\"\n")
    rm.chmod(0o755)
    assert box.run("PATH=/root/bad:$PATH dpkg -r edgevoice").returncode == 1
    assert box.told("dpkg-query -W -f '${Status}' edgevoice").endswith(" ok installed")
    assert (running(box), box.property("ActiveState")) == ("9.5", "active")
    assert box.told("systemctl is-enabled edgevoice") == "enabled"


def test_removed_the_configuration_stays_purged_nothing_does(box: Debian) -> None:
    box.told("dpkg -r edgevoice")
    assert box.run("systemctl is-active edgevoice").stdout.strip() == "inactive"
    assert box.told(f"ls /opt; tail -n 1 {CONFIGURATION}") == "# mine"
    assert "keys are kept in /etc/credstore" not in box.told("dpkg -P edgevoice")
    left = "find / -xdev -name '*edgevoice*' -not -path '/root/*' -not -path '/var/log/*' -not -path '/tmp/*'"
    assert box.told(left) == ""
    assert box.told("systemctl --failed --no-legend; systemctl list-units --all --no-legend 'edgevoice*'") == ""
