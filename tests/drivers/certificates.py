"""Certificates for tests, made with the `openssl` command."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make(folder: Path, name: str = "server", *, days: int = 30, begins: str = "", ends: str = "") -> tuple[Path, Path]:
    """Return the files of a new certificate for 127.0.0.1 and of its key. `begins`, `ends`: 20200101000000Z."""
    folder.mkdir(exist_ok=True)
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subject = folder / f"{name}.conf"
    subject.write_text(
        "[req]\ndistinguished_name=name\nx509_extensions=more\nprompt=no\n[name]\nCN=" + name + "\n"
        "[more]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:TRUE\n"
        "[ca]\ndefault_ca=own\n[own]\ndatabase=" + str(folder / "index.txt") + "\nnew_certs_dir=" + str(folder) + "\n"
        "default_md=sha256\npolicy=any\nrand_serial=yes\nunique_subject=no\n[any]\ncommonName=supplied\n"
    )
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key)]
    if not ends:
        openssl("req", "-x509", "-config", str(subject), "-days", str(days), *new_key, "-out", str(certificate))
        return certificate, key
    request = folder / f"{name}.csr"
    (folder / "index.txt").write_text("")
    openssl("req", "-new", "-config", str(subject), *new_key, "-out", str(request))
    signed = ["-selfsign", "-keyfile", str(key), "-in", str(request), "-out", str(certificate), "-extensions", "more"]
    dates = ["-startdate", begins, "-enddate", ends]
    openssl("ca", "-batch", "-notext", "-config", str(subject), *signed, *dates)
    return certificate, key


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
