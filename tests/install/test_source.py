"""What an installed box is made of: all of the Python package, and nothing that was not asked for."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What the package is built from, as `make install` and `make deb` copy it."""
    folder = tmp_path / "source"
    subprocess.run([ROOT / "packaging/source", folder], check=True)
    return folder


def test_everything_that_the_project_names_is_copied(source: Path) -> None:
    tool, project = PROJECT["tool"]["setuptools"], PROJECT["project"]
    named = [f"{module}.py" for module in tool["py-modules"]]
    named += [package.replace(".", "/") for package in tool["packages"]]
    named += [project["readme"], *project["license-files"]]
    assert [name for name in named if not (source / name).exists()] == []
    data = {package.replace(".", "/"): patterns for package, patterns in tool["package-data"].items()}
    assert [
        (package, one) for package, all_ in data.items() for one in all_ if not any((source / package).glob(one))
    ] == []


def test_every_package_and_module_beside_it_is_named_by_the_project() -> None:
    tool = PROJECT["tool"]["setuptools"]
    inside = [
        path for path in (ROOT / "edgevoice").rglob("*.*") if path.is_file() and path.parent.name != "__pycache__"
    ]
    folders = {path.parent.relative_to(ROOT) for path in inside}
    assert {str(folder).replace("/", ".") for folder in folders} == set(tool["packages"])
    assert {path.stem for path in ROOT.glob("*.py")} == set(tool["py-modules"])


def install(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(ROOT / "packaging/install"), *words]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"DESTDIR": "image"}, "expected absolute paths, got DESTDIR=image"),
        ({"PREFIX": "usr"}, "expected absolute paths, got DESTDIR=/"),
        ({"EXTRAS": "aec,nosuch"}, 'there is no extra "nosuch"; EXTRAS is some of aec,sip,pi'),
    ],
)
def test_what_cannot_be_installed_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = install(**{"DESTDIR": str(tmp_path), **environment})
    assert (done.returncode, said in done.stderr) == (64, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_extra_of_a_box_may_be_asked_for() -> None:
    script = (ROOT / "packaging/install").read_text()
    known = set(PROJECT["project"]["optional-dependencies"]) - {"dev", "bench"}
    assert f"EXTRAS:={','.join(sorted(known, key=['aec', 'sip', 'pi'].index))}}}" in script
