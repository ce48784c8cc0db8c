"""What the tests on a Debian share: the package is built once."""

from __future__ import annotations

import pytest

from tests.install.debian import Packages


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    return Packages(tmp_path_factory.mktemp("packages") / "deb")
