"""`make install` on a Debian that runs, with all extras, and its updates. Needs root, the network, and minutes.

The tests are one story and follow each other.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgevoice import __version__
from tests.install.debian import ROOT, Debian, does_not_start, hangs
from tests.install.test_make_install import LEFT

pytestmark = pytest.mark.debian
CONFIGURATION = "/etc/edgevoice/edgevoice.toml"
OPT = "/opt/edgevoice"
INSTALL, LIMIT_S = "make -C /root/project install", 900.0  # Debian's packages, PyPI's
PROJECT = (
    "Makefile pyproject.toml README.md LICENSE edgevoice_measure.py edgevoice_promises.py edgevoice packaging systemd"
)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    """A Debian with the network, on which the project was just unpacked."""
    debian = Debian(tmp_path_factory.mktemp("debian") / "tree", network=True)
    try:
        debian.boot()
        debian.told("apt-get -qq update && apt-get -qq install -y --no-install-recommends make", LIMIT_S)
        unpack(debian)
        yield debian
    finally:
        debian.stop()


def unpack(
    box: Debian, version: str = __version__, change: Callable[[Path, Path], None] = lambda code, root: None
) -> None:
    """Put the project there as it would be in that version, with its code changed."""
    project = box.tree / "root/project"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    pack = ["tar", "-C", str(ROOT), "--exclude=__pycache__", "-c", *PROJECT.split()]
    packed = subprocess.run(pack, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-C", project, "-x"], input=packed, check=True)
    own = project / "edgevoice/__init__.py"
    own.write_text(own.read_text().replace(__version__, version))
    change(project / "edgevoice", project)


def running(box: Debian) -> str:
    """Return the version that answers."""
    return box.told("edgevoice ctl status | sed -n 's/^version *//p'")


def links(box: Debian) -> list[str]:
    return box.told(f"readlink {OPT}/current {OPT}/previous").split()


def test_it_runs_with_every_extra_and_starts_at_boot(box: Debian) -> None:
    assert "installed. Next: sudo edgevoice setup" in box.told(INSTALL, LIMIT_S)
    assert (running(box), box.property("ActiveState")) == (__version__, "active")
    assert box.told("systemctl is-enabled edgevoice") == "enabled"
    assert box.property("StatusText").startswith("fault: card.playback"), "there is no card, and it says so"
    imported = "import livekit.rtc, baresip, lgpio"  # aec, sip, pi
    box.told(f"cd /tmp && {OPT}/current/bin/python -I -c '{imported}'")
    assert box.told("systemctl --failed --no-legend") == ""


def test_a_newer_version_takes_its_place_and_keeps_the_configuration(box: Debian) -> None:
    box.told(f"echo '# mine' >> {CONFIGURATION}")
    unpack(box, "9.1")
    box.told(INSTALL, LIMIT_S)
    assert (running(box), links(box)) == ("9.1", ["9.1", __version__])
    assert box.told(f"tail -n 1 {CONFIGURATION}") == "# mine"


def test_a_version_that_does_not_start_goes_back_by_itself(box: Debian) -> None:
    unpack(box, "9.2", does_not_start)
    done = box.run(INSTALL, LIMIT_S)
    assert done.returncode == 2, "make says that it failed"
    assert "version 9.2 does not come up" in done.stdout
    assert "so version 9.1 runs again" in done.stdout
    assert (running(box), links(box)) == ("9.1", ["9.1", __version__])


def test_a_version_that_hangs_goes_back_though_the_power_failed(box: Debian) -> None:
    unpack(box, "9.3", hangs)
    box.told(f"{INSTALL} >/root/told 2>&1 &")
    box.told(f'until [ "$(readlink {OPT}/current)" = 9.3 ]; do sleep 0.1; done', LIMIT_S)
    box.cut_power()
    box.boot()
    box.told(f"while [ -e {OPT}/trial ]; do sleep 1; done")
    assert (running(box), links(box)) == ("9.1", ["9.1", __version__])
    assert "version 9.3 did not come up on " in box.told(f"cat {OPT}/failed")


def test_uninstalled_the_configuration_stays_and_nothing_else(box: Debian) -> None:
    assert "removed. Kept: /etc/edgevoice" in box.told("make -C /root/project uninstall")
    assert box.told(LEFT).split() == ["/etc/edgevoice", CONFIGURATION]
    assert box.told("systemctl --failed --no-legend") == ""
    assert (box.property("LoadState"), box.property("ActiveState")) == ("not-found", "inactive")
