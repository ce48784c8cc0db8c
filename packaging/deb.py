"""Builds the Debian package: everything inside that a box needs, so that it compiles nothing and asks no network.

    python3 packaging/deb.py --suite bookworm --arch arm64 --out build/deb

A package is for one Debian and one architecture, since what is compiled is for one Python: bookworm has 3.11, trixie
(Raspberry Pi OS 13) has 3.13. It depends on exactly that Python, so apt refuses the wrong one, and its version ends in
+deb12 or +deb13, so that a box whose Debian is upgraded takes the next one.

    wheels (pip, for the target) + what there is no wheel of (compiled here) -> /usr/lib/edgevoice
    release add (postinst): linked from there to /opt/edgevoice/VERSION

Wanted on the machine that builds: pip, dpkg-dev, apt, gcc for the target (Debian: gcc, gcc-aarch64-linux-gnu), at most
as new as the target's C library; and swig, for trixie.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
HOME = "usr/lib/edgevoice"


@dataclass(frozen=True, slots=True)
class Extension:
    """A Python module in C of which there is no wheel: how to compile it in the folder of its source distribution."""

    requirement: str
    name: str
    sources: tuple[str, ...]  # patterns
    flags: tuple[str, ...]
    interface: str = ""  # of it swig makes a source and a module in Python


PYALSAAUDIO = Extension("pyalsaaudio>=0.11", "alsaaudio", ("alsaaudio.c",), ("-l:libasound.so.2",))
# With the C library of that name inside. Source: its setup.py, PYPI=1.
LGPIO = Extension(
    "lgpio>=0.2.2", "_lgpio", ("lgpio_wrap.c", "src/lg*.c", "src/rgpiod.c"), ("-Isrc", "-pthread"), "lgpio.i"
)


@dataclass(frozen=True, slots=True)
class Suite:
    """What a Debian has: its number, its Python, its C library, and what of ours it can take."""

    number: int
    python: str
    glibc: tuple[int, int]
    extras: str
    compiled: tuple[Extension, ...]


SUITES = {
    "bookworm": Suite(12, "3.11", (2, 36), "aec,sip,pi", (PYALSAAUDIO,)),
    # Of lgpio, which is all of `pi`, there is no wheel for 3.13; Raspberry Pi OS brings it, Debian does not.
    "trixie": Suite(13, "3.13", (2, 41), "aec,sip", (PYALSAAUDIO, LGPIO)),
}
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
PLATFORMS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
# What the libraries inside need of the system, and who brings it.
LIBC = re.compile(r"(libc|libm|libdl|libpthread|librt|libresolv|libutil|ld-linux-x86-64|ld-linux-aarch64)\.so\.\d+")
BROUGHT_BY = {
    "libasound.so.2": "libasound2t64 (>= 1.2.8) | libasound2 (>= 1.2.8)",
    "libstdc++.so.6": "libstdc++6",
    "libgcc_s.so.1": "libgcc-s1",
    "libz.so.1": "zlib1g",
}
LINKS = {
    "usr/bin/edgevoice": "/opt/edgevoice/current/bin/edgevoice",
    # At every boot, whatever becomes of the service.
    "usr/lib/systemd/system/multi-user.target.wants/edgevoice-trial.service": "../edgevoice-trial.service",
}


class BuildError(Exception):
    """Why there is no package, and what to do."""


def main() -> int:
    """Build one package; print where it is."""
    parser = argparse.ArgumentParser(description="Build the Debian package of edgevoice.")
    parser.add_argument("--suite", choices=SUITES, default="bookworm")
    parser.add_argument("--arch", choices=MACHINES, default="amd64")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "deb", metavar="DIR")
    parser.add_argument(
        "--compression", choices=("xz", "none"), default="xz", help="none: minutes less, four times as big"
    )
    parser.add_argument("--version", default=_version(), help="default: %(default)s, of the source")
    chosen = parser.parse_args()
    os.umask(0o022)  # what is inside is read by everybody, whoever builds it
    chosen.out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="edgevoice-deb-") as work:
            print(build(chosen, Path(work)))
    except BuildError as error:
        print(f"deb: {error}", file=sys.stderr)
        return 1
    return 0


def build(chosen: argparse.Namespace, work: Path) -> Path:
    """Return the package that was built. Raises BuildError."""
    suite, arch, target = chosen.suite, chosen.arch, SUITES[chosen.suite]
    root, home = work / "root", work / "root" / HOME
    libraries = home / "lib" / f"python{target.python}" / "site-packages"
    wheels = work / "wheels"
    wheels.mkdir()
    headers = _headers(suite, arch, work / "headers")
    for extension in target.compiled:
        _compile(extension, target, MACHINES[arch], headers, wheels)
    _run(HERE / "source", work / "source")
    _run(sys.executable, "-m", "pip", "wheel", *QUIET, "--no-deps", "--wheel-dir", wheels, work / "source")
    _install(target, arch, wheels, libraries)
    for scripts in (libraries / "bin", *libraries.rglob("__pycache__")):
        shutil.rmtree(scripts, ignore_errors=True)
    _run(HERE / "lay", home)
    (home / "bin" / "python").symlink_to(f"/usr/bin/python{target.python}")
    (home / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {target.python}\n"
    )
    full = f"{chosen.version}+deb{target.number}"
    _system(root, full)
    needed = _needed(home, target)
    _control(root, target, arch, full, needed)
    package = Path(chosen.out, f"edgevoice_{full}_{arch}.deb")
    _run("dpkg-deb", "--root-owner-group", f"-Z{chosen.compression}", "--build", root, package)
    return package


# ------------------------------------------------------------------------------------------------------ what is inside

QUIET = ("-q", "--disable-pip-version-check")


def _install(target: Suite, arch: str, wheels: Path, libraries: Path) -> None:
    """Lay edgevoice and all that it needs into `libraries`, for a machine that need not be this one."""
    machine = MACHINES[arch]
    platforms = [f"--platform={platform}_{machine}" for platform in PLATFORMS]
    wheel = next(wheels.glob("edgevoice-*.whl"))
    _run(
        *(sys.executable, "-m", "pip", "install", *QUIET, "--no-compile", "--only-binary=:all:", "--upgrade"),
        *(f"--target={libraries}", f"--python-version={target.python}", "--implementation=cp", *platforms),
        *("--platform=any", f"--find-links={wheels}", f"{wheel}[{target.extras}]"),
        *(extension.requirement for extension in target.compiled),
    )


def _compile(extension: Extension, target: Suite, machine: str, headers: Path, wheels: Path) -> None:
    """Compile an extension for the target, with the target's own headers, into a wheel. Raises BuildError."""
    triplet, tag = f"{machine}-linux-gnu", f"cp{target.python.replace('.', '')}"
    compiler, include = f"{triplet}-gcc", headers / "usr/include"
    if not shutil.which(compiler):
        package = "gcc" if machine == "x86_64" else f"gcc-{triplet.replace('_', '-')}"
        raise BuildError(f"there is no {compiler}; install it: sudo apt install {package}")
    folder = _source(extension, wheels.parent)
    library = f"{extension.name}.cpython-{tag[2:]}-{triplet}.so"
    _run(
        *(compiler, "-O2", "-g0", "-s", "-shared", "-fPIC", "-fstack-protector-strong", "-Wl,-z,relro,-z,now"),
        *(f"-I{include}/python{target.python}", f"-I{include}", f"-I{include}/{triplet}", "-o", library),
        *(path for pattern in extension.sources for path in sorted(folder.glob(pattern))),
        *(f"-L{headers}/usr/lib/{triplet}", *extension.flags),
        cwd=folder,
    )
    full = folder.name
    wheel = f"{full}-{tag}-{tag}-manylinux2014_{machine}"
    about = (
        f"Wheel-Version: 1.0\nGenerator: edgevoice\nRoot-Is-Purelib: false\nTag: {tag}-{tag}-manylinux2014_{machine}\n"
    )
    licence = next(path for path in folder.iterdir() if path.name.upper().startswith("LICEN"))
    files = {
        library: (folder / library).read_bytes(),
        f"{full}.dist-info/METADATA": (folder / "PKG-INFO").read_bytes(),
        f"{full}.dist-info/WHEEL": about.encode(),
        f"{full}.dist-info/LICENSE": licence.read_bytes(),
    }
    if extension.interface:
        module = Path(extension.interface).with_suffix(".py").name
        files[module] = (folder / module).read_bytes()
    _write_wheel(wheels / f"{wheel}.whl", files, f"{full}.dist-info/RECORD")


def _source(extension: Extension, work: Path) -> Path:
    """Fetch its source distribution; return the folder NAME-VERSION, in which swig has written what is generated."""
    name = extension.requirement.partition(">")[0]
    archives = work / name
    _run(
        *(sys.executable, "-m", "pip", "download", *QUIET, "--no-deps", f"--no-binary={name}", extension.requirement),
        *("--dest", archives),
    )
    _run("tar", "-C", archives, "-xzf", next(archives.glob("*.tar.gz")))
    folder = next(path for path in archives.iterdir() if path.is_dir())
    if extension.interface:
        if not shutil.which("swig"):
            raise BuildError("there is no swig; install it: sudo apt install swig")
        _run("swig", "-python", "-Isrc", "-o", f"{extension.name.lstrip('_')}_wrap.c", extension.interface, cwd=folder)
    return folder


def _write_wheel(path: Path, files: Mapping[str, bytes], record: str) -> None:
    """Write a wheel. Source: the binary distribution format, PEP 427."""
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(content)}")
        wheel.writestr(record, "\n".join([*lines, f"{record},,"]) + "\n")


def _headers(suite: str, arch: str, folder: Path) -> Path:
    """Unpack the target's headers and its ALSA library; this machine's own packages are not touched."""
    lists, python = folder / "apt", SUITES[suite].python
    for path in ("etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/apt.conf.d"):
        (lists / path).mkdir(parents=True)
    for path in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg"):
        (lists / path).mkdir(parents=True)
    (lists / "var/lib/dpkg/status").touch()
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (lists / "etc/apt/sources.list").write_text(f"deb [arch={arch} signed-by={keyring}] {_mirror()} {suite} main\n")
    options = [
        f"-oDir={lists}",
        f"-oDir::State::status={lists}/var/lib/dpkg/status",
        *(f"-oAPT::Architecture={arch}", f"-oAPT::Architectures={arch}", "-oAcquire::Languages=none", "-qq"),
        "-oAPT::Sandbox::User=root",
    ]
    sound = "libasound2" if suite == "bookworm" else "libasound2t64"
    _run("apt-get", *options, "update")
    _run("apt-get", *options, "download", sound, "libasound2-dev", f"libpython{python}-dev", cwd=folder)
    for package in folder.glob("*.deb"):
        _run("dpkg-deb", "-x", package, folder)
    return folder


def _mirror() -> str:
    """Return the Debian mirror that this machine uses already."""
    sites = _run("apt-get", "indextargets", "--format", "$(SITE) $(ORIGIN)").split("\n")
    found = [site.split()[0] for site in sites if site.endswith(" Debian") and "security" not in site]
    if not found:
        raise BuildError("this machine has no Debian mirror in its sources; sudo apt update")
    return found[0]


def _needed(home: Path, target: Suite) -> set[str]:
    """Return what the libraries inside depend on; refuse one that the target's C library could not load."""
    inside = {path.name for path in home.rglob("*.so*")}
    packages: set[str] = set()
    for path in sorted(home.rglob("*.so*")):
        shown = _run("objdump", "-p", path, quietly=True) or _run("readelf", "-dV", path)
        for name in re.findall(r"NEEDED\s+(?:Shared library: \[)?([^\s\]]+)", shown):
            if name in inside:
                continue
            if LIBC.fullmatch(name):
                packages.add("libc6 (>= {}.{})".format(*target.glibc))
            elif name in BROUGHT_BY:
                packages.add(BROUGHT_BY[name])
            else:
                raise BuildError(f"{path.name} needs {name}; say in BROUGHT_BY which Debian package has it")
        versions = [(int(major), int(minor)) for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", shown)]
        if max(versions, default=(0, 0)) > target.glibc:
            raise BuildError(f"{path.name} wants a newer C library than the target has; build on an older Debian")
    return packages


# --------------------------------------------------------------------------------------------------- what surrounds it


def _system(root: Path, version: str) -> None:
    """Lay out what systemd, udev, dpkg and people look for."""
    places = {
        ROOT / "systemd/edgevoice.service": "usr/lib/systemd/system/edgevoice.service",
        ROOT / "systemd/edgevoice-switch@.path": "usr/lib/systemd/system/edgevoice-switch@.path",
        ROOT / "systemd/edgevoice-switch@.service": "usr/lib/systemd/system/edgevoice-switch@.service",
        ROOT / "systemd/edgevoice-trial.service": "usr/lib/systemd/system/edgevoice-trial.service",
        ROOT / "systemd/sysusers.conf": "usr/lib/sysusers.d/edgevoice.conf",
        ROOT / "systemd/pins.rules": "usr/lib/udev/rules.d/60-edgevoice.rules",
        HERE / "debian/copyright": "usr/share/doc/edgevoice/copyright",
        HERE / "debian/lintian-overrides": "usr/share/lintian/overrides/edgevoice",
    }
    for source, place in places.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, root / place)
    for link, to in LINKS.items():
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(to)
    changes = (
        f"edgevoice ({version}) stable; urgency=medium\n\n  * See CHANGELOG.md of the source.\n\n"
        f" -- The edgevoice project <edgevoice@edgevoice.invalid>  {formatdate(_source_date())}\n"
    )
    _compress(changes, root / "usr/share/doc/edgevoice/changelog.gz")
    _compress((HERE / "debian/edgevoice.1").read_text(), root / "usr/share/man/man1/edgevoice.1.gz")


def _compress(text: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _control(root: Path, target: Suite, arch: str, version: str, needed: Iterable[str]) -> None:
    """Write what dpkg reads: fields, checksums, scripts, and the wish to be told when Python is updated."""
    folder = root / "DEBIAN"
    folder.mkdir()
    depends = sorted({f"python{target.python}", "systemd (>= 252)", "systemd | systemd-sysusers", *needed})
    size_kb = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir()) // 1024
    fields = (
        (HERE / "debian/control")
        .read_text()
        .format(version=version, arch=arch, size=size_kb, depends=", ".join(depends))
    )
    (folder / "control").write_text(fields)
    for path in sorted(root.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        elif path.is_file() and not path.is_symlink() and path.parent != root / HOME / "bin":
            path.chmod(0o644)
    (folder / "md5sums").write_text("".join(_sums(root)))
    (folder / "triggers").write_text(f"interest-noawait /usr/lib/python{target.python}\n")
    for name in ("postinst", "prerm", "postrm"):
        (folder / name).write_text((HERE / "debian" / name).read_text().replace("@VERSION@", version))
        (folder / name).chmod(0o755)


def _sums(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*")):
        place = path.relative_to(root)
        if path.is_file() and not path.is_symlink() and place.parts[0] != "DEBIAN":
            yield f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {place}\n"


def _version() -> str:
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "edgevoice/__init__.py").read_text(), re.MULTILINE)
    assert found, "the package has one"
    return found[1]


def _source_date() -> float:
    """Return when the source was changed last, so that the same source makes the same package."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return float(given) if given else max(path.stat().st_mtime for path in (ROOT / "edgevoice").rglob("*.py"))


def _run(*command: object, cwd: Path | None = None, quietly: bool = False) -> str:
    """Run a program; return what it prints. Raises BuildError with what it complains of."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"{words[0]}: {error.strerror}") from error
    if done.returncode and not quietly:
        raise BuildError(f"{' '.join(words)}:\n{done.stderr.strip()}")
    return done.stdout if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
