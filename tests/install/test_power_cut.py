"""An update that is cut short while it is watched, by the power or by a signal, on a Debian that boots. Needs root.

The tests are one story and follow each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.debian import MARK, Debian, Packages, hangs_with_another_unit

pytestmark = pytest.mark.debian
OPT = "/opt/edgevoice"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, packages: Packages) -> Iterator[Debian]:
    """A Debian on which version 9.1 runs."""
    debian = Debian(tmp_path_factory.mktemp("debian") / "tree")
    try:
        debian.boot()
        debian.told(f"dpkg -i {debian.put(packages.version('9.1'))}")
        yield debian
    finally:
        debian.stop()


def cut_short(box: Debian, version: str, package: Path) -> None:
    """Begin an update, and take the power away as soon as the new version is the one that runs."""
    box.told(f"dpkg -i {box.put(package)} >/root/told 2>&1 &")
    box.told(f'until [ "$(readlink {OPT}/current)" = {version}{MARK} ]; do sleep 0.1; done')
    box.cut_power()


def booted(box: Debian) -> tuple[str, str, str]:
    """Switch it on and wait until the trial is over; return the version that answers, and both links."""
    box.boot()
    box.told(f"while [ -e {OPT}/trial ]; do sleep 1; done")
    answers = box.told("edgevoice ctl status | sed -n 's/^version *//p'")
    current, _, previous = box.told(f"readlink {OPT}/current; readlink {OPT}/previous || echo none").partition("\n")
    assert box.told("systemctl --failed --no-legend") == ""
    return answers, current, previous


def test_a_version_that_hangs_does_not_stay_though_the_power_failed(box: Debian, packages: Packages) -> None:
    cut_short(box, "9.2", packages.version("9.2", hangs_with_another_unit))
    assert booted(box) == ("9.1", f"9.1{MARK}", "none")
    assert "the trial of version 9.2" in box.told("journalctl -b -o cat -u edgevoice-trial")
    assert box.property("FragmentPath") == "/etc/systemd/system/edgevoice.service", "as it was, not the package's"
    assert "# another" not in box.told("systemctl cat edgevoice")
    findings = json.loads(box.run("edgevoice doctor --json").stdout)["findings"]
    (found,) = [finding for finding in findings if finding["name"] == "update"]
    assert f"version 9.2{MARK} did not come up on " in found["sentence"]


def test_apt_tries_the_same_update_once_more_and_it_goes_back_again(box: Debian) -> None:
    assert "does not come up" in box.told("dpkg --configure -a")
    assert box.told(f"readlink {OPT}/current") == f"9.1{MARK}"
    assert box.told("dpkg --audit") == ""


def test_a_version_that_came_out_of_the_power_cut_without_its_python_does_not_stay(
    box: Debian, packages: Packages
) -> None:
    cut_short(box, "9.3", packages.version("9.3"))
    (box.tree / f"opt/edgevoice/9.3{MARK}/bin/python").unlink()
    assert booted(box) == ("9.1", f"9.1{MARK}", "none")


def test_a_version_that_is_well_stays_after_the_power_cut(box: Debian, packages: Packages) -> None:
    cut_short(box, "9.4", packages.version("9.4"))
    assert booted(box) == ("9.4", f"9.4{MARK}", f"9.1{MARK}")
    assert not (box.tree / "opt/edgevoice/failed").exists()


def test_an_update_that_is_told_to_end_is_watched_to_its_end(box: Debian, packages: Packages) -> None:
    """As by `timeout apt`: no power cut, and nobody boots."""
    package = box.put(packages.version("9.5", hangs_with_another_unit))
    process = box.told(f"setsid dpkg -i {package} >/root/told 2>&1 & echo $!")
    box.told(f'until [ "$(readlink {OPT}/current)" = 9.5{MARK} ]; do sleep 0.1; done')
    box.told(f"kill -TERM -- -{process}")
    box.told(f"while [ -e {OPT}/trial ]; do sleep 1; done")
    assert box.told("edgevoice ctl status | sed -n 's/^version *//p'") == "9.4"
    assert "does not come up" in box.told("dpkg --configure -a")
    assert box.told(f"readlink {OPT}/current {OPT}/previous").split() == [f"9.4{MARK}", f"9.1{MARK}"]
    assert box.told("systemctl --failed --no-legend") == ""
