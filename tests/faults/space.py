"""A box in a network of its own: what a service far away is to it, and a name server that says nothing. Needs root.

The control socket, the pins and the sound card are files, which a network namespace does not concern.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

# A name server that never answers: its port is open, so that nobody is told that there is none.
SILENT = """
import os, socket, sys
open("/etc/resolv.conf", "w").write("nameserver 127.0.0.1\\n")
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
server.set_inheritable(True)
os.execv(sys.argv[1], sys.argv[1:])
"""
PRIVATE = (
    "mount --make-rprivate / && mount --bind {folder}/resolv.conf /etc/resolv.conf && ip link set lo up && "
    'exec {python} -c {silent} {python} "$@"'
)


@contextmanager
def run_by(folder: Path, command: Sequence[str]) -> Iterator[None]:
    """Let every Python that the block starts with `sys.executable` be started by `command`."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(script))
        yield


@contextmanager
def silent_name_server(folder: Path) -> Iterator[None]:
    """Let the block start Pythons whose name server stays silent, in a network that has nothing else in it."""
    (folder / "resolv.conf").write_text("")
    inside = PRIVATE.format(folder=folder, python=sys.executable, silent=shlex.quote(SILENT))
    with run_by(folder, ["unshare", "--mount", "--net", "sh", "-c", inside, "python"]):
        yield


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces")
