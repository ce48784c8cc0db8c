"""`make install` into an image (DESTDIR), which then boots; and what `make uninstall` leaves. Needs root, and minutes.

The tests are one story and follow each other.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.install.commands import try_every_command
from tests.install.debian import PYTHON, ROOT, Debian

pytestmark = pytest.mark.debian
LEFT = "find / -xdev -name '*edgevoice*' -not -path '/root/*' -not -path '/var/log/*' -not -path '/tmp/*' | sort"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Debian:
    """A Debian that is switched off when it is installed into."""
    debian = Debian(tmp_path_factory.mktemp("debian") / "tree")
    python = f"PYTHON=/usr/bin/python{PYTHON}"
    command = ["make", "-C", str(ROOT), "install", f"DESTDIR={debian.tree}", "EXTRAS=aec", python]
    done = subprocess.run(command, capture_output=True, text=True, check=False, umask=0o077)  # a careful person's
    assert done.returncode == 0, done.stdout + done.stderr
    assert "installed. Next: sudo edgevoice setup" in done.stdout
    return debian


@contextmanager
def booted(image: Debian, *options: str) -> Iterator[Debian]:
    """Switch it on, and off in the end; it has no network."""
    try:
        image.boot(*options)
        yield image
    finally:
        image.stop()


def test_a_disk_that_cannot_be_written_any_more_does_not_matter(image: Debian) -> None:
    with booted(image) as box:
        box.until("ActiveState", "active")
    with booted(image, "--read-only") as box:
        assert not box.told("findmnt -no OPTIONS / | grep -v '^ro'; true")
        box.until("ActiveState", "active")
        assert box.property("StatusText").startswith("fault: card.playback")
        assert box.property("NRestarts") == "0"


@pytest.fixture(scope="module")
def box(image: Debian) -> Iterator[Debian]:
    with booted(image) as debian:
        yield debian


def test_nothing_in_the_image_names_the_machine_that_made_it(box: Debian) -> None:
    texts = f"grep -rlIF {box.tree} /opt/edgevoice /usr/local /etc/edgevoice /etc/systemd"
    assert box.run(texts).stdout == ""


def test_the_image_boots_into_a_box_that_runs(box: Debian) -> None:
    box.until("ActiveState", "active")
    assert box.told("systemctl is-enabled edgevoice") == "enabled"
    assert box.property("StatusText").startswith("fault: card.playback"), "there is no card, and it says so"
    assert box.told("systemctl --failed --no-legend") == ""
    assert box.told("getent group gpio | cut -d: -f1") == "gpio"


def test_every_command_runs_in_it(box: Debian) -> None:
    try_every_command(box)


def test_uninstalled_the_configuration_and_the_keys_stay_and_nothing_else(box: Debian) -> None:
    box.told("echo sk-1 | edgevoice setup --yes --call openai --key-file -")
    pack = f"tar -C {ROOT} -cf {box.tree}/root/project.tar packaging systemd"
    subprocess.run(pack.split(), check=True)
    box.told("mkdir /root/project && tar -C /root/project -xf /root/project.tar")
    assert "removed. Kept: /etc/edgevoice" in box.told("sh /root/project/packaging/install remove")
    assert box.told(LEFT).split() == [
        "/etc/edgevoice",
        "/etc/edgevoice/edgevoice.toml",
        "/etc/edgevoice/edgevoice.toml.bak",
    ]
    assert box.told("cat /etc/credstore/openai-api-key") == "sk-1"
    assert box.told("systemctl --failed --no-legend") == ""
    assert (box.property("LoadState"), box.property("ActiveState")) == ("not-found", "inactive")
