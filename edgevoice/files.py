"""Which files the program reads: its configuration, and those that the configuration names."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgevoice.config import AGENTS, LINES, Secret, load, secret
from edgevoice.drivers.profile_files import OWN, card_ids, profile_texts, text_of
from edgevoice.errors import ConfigError, DeviceError, Unreadable, not_read
from edgevoice.schema import Config

if TYPE_CHECKING:
    from edgevoice.doctor.facts import Kind, Needed

CONFIGURATION = Path("/etc/edgevoice/edgevoice.toml")
# What the running service was handed, and where systemd looks for it. Source: systemd.exec(5), LoadCredential=
CREDENTIALS = ("/run/credentials/edgevoice.service", "/etc/credstore", "/run/credstore", "/usr/lib/credstore")
ENCRYPTED = "/etc/credstore.encrypted"  # likewise, LoadCredentialEncrypted=
TEXTS = ("instructions_file", "certificate_file", "ca_file")  # the keys of what everybody may read


class Files(Protocol):
    """The files that a configuration names. All raise ConfigError, naming the `key`."""

    def secret(self, name: str, key: str) -> Secret:
        """Return the key or password in the file `name`."""

    def text(self, name: str, key: str) -> str:
        """Return the text in the file `name`."""

    def path(self, name: str, key: str) -> Path:
        """Return where the file `name` is, which other programs renew: one that is missing is Unreadable."""


def configuration(path: Path | None) -> Config:
    """Read the configuration: `path`, else the system's if there is one, else the defaults. Raises ConfigError."""
    if path is None and not is_there(CONFIGURATION):
        return load("", source="defaults")
    return loaded(text_of(path or CONFIGURATION, seen=path is None), path or CONFIGURATION)


def is_there(path: Path) -> bool:
    """Tell whether there is such a file, or may be one that this user cannot see: who reads it is told why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def loaded(text: str, path: Path) -> Config:
    """Return the configuration that `text` is, as it stands, or is to stand, at `path`. Raises ConfigError."""
    return load(text, source=str(path), profiles=profile_texts(path.parent), cards=card_ids())


def needed(config: Config, path: Path) -> list[Needed]:
    """Return the files that are there and that the service has to read itself, whose configuration is at `path`.

    What systemd hands over to it is none of them.
    """
    from edgevoice.doctor.facts import Kind, Needed  # only for `doctor`: memory counts

    folder = path.absolute().parent
    profiles = folder / OWN
    found = [Needed(str(folder), Kind.FOLDER), Needed(str(path.absolute())), Needed(str(profiles))]
    found += [Needed(str(profile)) for profile in profiles.glob("*.toml")]
    for name, kind in dict(_named(config)).items():
        handed_over = "/" not in name and any((Path(place) / name).exists() for place in (*CREDENTIALS, ENCRYPTED))
        if not handed_over:
            found.append(Needed(str(folder / name), kind))
    return [one for one in found if os.path.lexists(one.path)]


def _named(config: Config) -> Iterator[tuple[str, Kind]]:
    """Yield the name of each file that a box so configured reads."""
    from edgevoice.doctor.facts import Kind

    call = config.call
    called = {call.button, call.at_start, call.fallback, call.incoming, *call.contacts.values()}
    sections = [getattr(config.agent, name) for name in AGENTS if name in called]
    sections += [config.lines, *(getattr(config.line, name) for name in LINES), *config.line.sip]
    for section in sections:
        for field in section.__struct_fields__:
            if field.endswith("_file") and (name := getattr(section, field)):
                yield name, Kind.TEXT if field in TEXTS else Kind.SECRET
    for account in config.line.sip:
        if account.secret_header:
            yield account.secret_header.partition(":")[2].strip(), Kind.SECRET


def make_folder(out: Path) -> None:
    """Make the folder that --out names, and see that it can be written to. Raises DeviceError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise DeviceError(f"{out} cannot be written to: {error.strerror}; name another folder with --out") from error


@dataclass(frozen=True)
class FilesBeside:
    """The files named by a configuration: in systemd's credentials first, then beside the configuration."""

    configuration: Path
    handed_over: tuple[str, ...] = ()  # where secrets are, too, for who looks at what systemd hands to the service

    @property
    def _directories(self) -> list[str]:
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        return [*([credentials] if credentials else []), str(self.configuration.absolute().parent)]

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Let a problem begin with the configuration, as those of `load` do."""
        try:
            yield
        except ConfigError as error:
            raise type(error)([f"{self.configuration}: {problem}" for problem in error.problems]) from error

    def secret(self, name: str, key: str) -> Secret:
        directories = [*self._directories, *self.handed_over]
        with self._named():
            return secret(name, key, read=lambda path: Path(path).read_bytes(), directories=directories)

    def path(self, name: str, key: str) -> Path:
        paths = [Path(directory) / name for directory in self._directories]
        found = next((path for path in paths if is_there(path)), None)
        if found is None:
            raise Unreadable([f"{self.configuration}: $.{key}: there is no file {' or '.join(map(str, paths))}"])
        return found

    def text(self, name: str, key: str) -> str:
        try:
            path = self.path(name, key)
        except Unreadable as missing:  # nobody renews a text
            raise ConfigError(missing.problems) from missing
        problem = f"{self.configuration}: $.{key}: cannot read {path}"
        try:
            return path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise not_read(f"{problem}: {error.strerror}", error, seen=True) from error
        except UnicodeDecodeError as error:
            raise ConfigError([f"{problem}: {error}"]) from error
