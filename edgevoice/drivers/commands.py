"""Asks other programs of this machine, and reads small files of the kernel; what is not there says nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

LIMIT_S = 3.0  # they answer in milliseconds, or hang


def said(*command: str) -> str:
    """Return what a program prints, or "" when it is not installed, fails or hangs."""
    words, trouble = _run(command)
    return "" if trouble else words


def carried_out(command: Sequence[str], limit_s: float = LIMIT_S) -> str:
    """Run a program; return what went wrong, "" if nothing did."""
    return _run(command, limit_s)[1]


def installed(program: str) -> bool:
    """Tell whether there is such a program."""
    return shutil.which(program, path=_path()) is not None


def _run(command: Sequence[str], limit_s: float = LIMIT_S) -> tuple[str, str]:
    """Return what it prints, and what went wrong; it speaks English, whatever the person does."""
    environment = {**os.environ, "PATH": _path(), "LC_ALL": "C"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    return done.stdout, "" if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


def _path() -> str:
    """Where programs are; Debian keeps from its users those that an administrator runs."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def told(path: Path) -> str:
    """Return the text of a small file, or "" when it is not there or not for us."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""
