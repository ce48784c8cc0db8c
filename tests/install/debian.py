"""A Debian in a container, with systemd as its first process; and packages that are not as they should be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "debian"  # what does not change: a bare Debian
SUITE, PYTHON, MARK = "bookworm", "3.11", "+deb12"
BARE = "systemd,systemd-sysv,dbus,udev,procps,libasound2,libspeexdsp1,libstdc++6,zlib1g"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TERM": "dumb", "LC_ALL": "C"}


class Debian:
    """A container of its own, gone with its folder. It has no network."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        tree.mkdir(parents=True)
        subprocess.run(["tar", "-C", tree, "-xf", _bare()], check=True)
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def put(self, file: Path) -> str:
        """Copy a file into it; return where it is there."""
        shutil.copy(file, self.tree / "root")
        return f"/root/{file.name}"

    def boot(self) -> None:
        command = ["systemd-nspawn", "-q", "-D", str(self.tree), "--register=no", "--keep-unit", "--boot"]
        options = ["--console=pipe", "--private-network", "systemd.unit=multi-user.target"]
        with (self.tree.parent / "console").open("wb") as console:
            self._nspawn = subprocess.Popen(
                [*command, *options], stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        self._leader = _until(self._first_process)
        _until(lambda: self.run("systemctl is-system-running").stdout.strip() in ("running", "degraded"))

    def _first_process(self) -> int:
        assert self._nspawn
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        return next((int(one) for one in children if Path(f"/proc/{one}/comm").read_text() == "systemd\n"), 0)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script in it, as root."""
        command = ["nsenter", "-t", str(self._leader), "-a", "bash", "-c", script]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=180, check=False)
        return done

    def told(self, script: str) -> str:
        """Run a script that must not fail; return what it prints."""
        done = self.run(script)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def property(self, name: str) -> str:
        """Return what systemd knows of the service."""
        return self.told(f"systemctl show -p {name} --value edgevoice")

    def until(self, name: str, value: str) -> None:
        _until(lambda: self.property(name) == value)

    def stop(self) -> None:
        if self._nspawn:
            if self._leader:
                self.run("systemctl poweroff")
            try:
                self._nspawn.wait(30)
            except subprocess.TimeoutExpired:
                os.kill(self._leader, 9)
                self._nspawn.wait(10)


class Packages:
    """Packages of the versions that are wanted, made of the real one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        built = subprocess.run(
            [
                sys.executable,
                ROOT / "packaging/deb.py",
                "--suite",
                SUITE,
                "--arch",
                _arch(),
                "--compression",
                "none",
                "--out",
                folder,
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        self.real = Path(built.stdout.strip())
        self._folder, self._parts = folder, folder / "parts"

    def version(self, version: str, change: Callable[[Path, Path], None] = lambda code, root: None) -> Path:
        """Return a package of that version, whose code or other files are changed."""
        shutil.rmtree(self._parts, ignore_errors=True)
        subprocess.run(["dpkg-deb", "-R", self.real, self._parts], check=True)
        code = self._parts / f"usr/lib/edgevoice/lib/python{PYTHON}/site-packages/edgevoice"
        _replace(self._parts / "DEBIAN/control", r"(?m)^Version: .*", f"Version: {version}{MARK}")
        _replace(self._parts / "DEBIAN/postinst", r'(release add \S+) "[^"]*"', rf'\1 "{version}{MARK}"')
        _replace(code / "__init__.py", r"__version__ = .*", f'__version__ = "{version}"')
        change(code, self._parts)
        package = self._folder / f"edgevoice_{version}{MARK}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Znone", "-b", self._parts, package], check=True, capture_output=True
        )
        return package


def does_not_start(code: Path, root: Path) -> None:
    _replace(code / "__main__.py", r"(?m)^import sys$", "raise SystemExit(1)")


def hangs(code: Path, root: Path) -> None:
    """It says that it is ready, and after that no word more."""
    _replace(code / "drivers/systemd.py", r"    notify\(watchdog=1\)", "    pass")


def has_a_unit_that_cannot_run(code: Path, root: Path) -> None:
    for unit in root.rglob("edgevoice.service"):
        _replace(unit, r"SupplementaryGroups=audio gpio", "SupplementaryGroups=audio gpio nobody-has-this")


def _replace(path: Path, pattern: str, by: str) -> None:
    text, times = re.subn(pattern, by, path.read_text())
    assert times, f"{path} has no {pattern}"
    path.write_text(text)


def _bare() -> Path:
    """Return a bare Debian as an archive, fetched once."""
    archive = CACHE / f"{SUITE}-{_arch()}.tar"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        include = f"--include={BARE},python{PYTHON}"
        options = ["--quiet", "--variant=minbase", include, '--aptopt=APT::Install-Recommends "false"']
        partial = archive.with_name(f"partial-{archive.name}")
        subprocess.run(["mmdebstrap", *options, SUITE, partial], check=True)
        partial.rename(archive)
    return archive


def _arch() -> str:
    shown = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True)
    return shown.stdout.strip()


def _until(look: Callable[[], T]) -> T:
    """Look until there is something to see; the limit only ends a test that hangs."""
    give_up = time.monotonic() + 120
    while not (found := look()):
        assert time.monotonic() < give_up, "it did not come"
        time.sleep(0.2)
    return found
