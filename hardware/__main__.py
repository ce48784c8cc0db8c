"""Write every page and drawing of this folder, and the tables in its README and parts.md."""

from __future__ import annotations

import re
from pathlib import Path

from edgevoice.drivers.profile_files import profile_texts
from edgevoice.profiles import read_profile
from hardware.pages import index, page
from hardware.power import budget
from hardware.wiring import draw

FOLDER = Path(__file__).parent


def files() -> dict[str, str]:
    """Return what each file of this folder has to hold that is made."""
    profiles = [read_profile(text, name) for name, text in profile_texts().items()]
    pages = {f"{profile.name}.md": page(profile) for profile in profiles}
    drawings = {f"wiring/{profile.name}.svg": draw(profile) for profile in profiles}
    tables = {
        "README.md": _with("README.md", "profiles", index(profiles)),
        "parts.md": _with("parts.md", "power", budget()),
    }
    return {**pages, **drawings, **tables}


def _with(name: str, mark: str, table: str) -> str:
    """Return a page of this folder with `table` between its two marks."""
    between = re.compile(f"(?<=<!-- {mark} -->\n).*?(?=\n<!-- /{mark} -->)", re.DOTALL)
    return between.sub(lambda _: table, (FOLDER / name).read_text(encoding="utf-8"))


def main() -> None:
    (FOLDER / "wiring").mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
