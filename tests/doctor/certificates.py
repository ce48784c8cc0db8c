"""Certificates for tests: of "localhost", signed by themselves, good from one day to another."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

CONFIGURATION = """\
[ca]
default_ca = here
[here]
database = database
new_certs_dir = .
serial = serial
default_md = sha256
policy = names
x509_extensions = itself
[names]
commonName = supplied
[itself]
subjectAltName = DNS:localhost
basicConstraints = critical,CA:TRUE
"""


def certificate(folder: Path, *, begins_days: float = -1, ends_days: float = 90) -> tuple[Path, Path]:
    """Make a certificate and its key in `folder`, which is made; its dates are told in days from now."""
    folder.mkdir()
    (folder / "ca.conf").write_text(CONFIGURATION)
    (folder / "database").touch()
    (folder / "serial").write_text("01\n")
    begins, ends = (
        (datetime.now(UTC) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ") for days in (begins_days, ends_days)
    )
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem"]
    _openssl(folder, "req", "-new", *key, "-out", "request.pem", "-subj", "/CN=localhost")
    signed = ["-batch", "-config", "ca.conf", "-selfsign", "-keyfile", "key.pem", "-in", "request.pem", "-notext"]
    _openssl(folder, "ca", *signed, "-out", "chain.pem", "-startdate", begins, "-enddate", ends)
    return folder / "chain.pem", folder / "key.pem"


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
