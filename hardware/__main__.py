"""Write every page and drawing of this folder, and the table in its README, from the profiles."""

from __future__ import annotations

import re
from pathlib import Path

from edgevoice.drivers.profile_files import profile_texts
from edgevoice.profiles import read_profile
from hardware.pages import index, page
from hardware.wiring import draw

FOLDER = Path(__file__).parent
BETWEEN = re.compile(r"(?<=<!-- profiles -->\n).*?(?=\n<!-- /profiles -->)", re.DOTALL)


def files() -> dict[str, str]:
    """Return what each file of this folder has to hold that is made from profiles."""
    profiles = [read_profile(text, name) for name, text in profile_texts().items()]
    pages = {f"{profile.name}.md": page(profile) for profile in profiles}
    drawings = {f"wiring/{profile.name}.svg": draw(profile) for profile in profiles}
    readme = (FOLDER / "README.md").read_text()
    return {**pages, **drawings, "README.md": BETWEEN.sub(lambda _: index(profiles), readme)}


def main() -> None:
    (FOLDER / "wiring").mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
