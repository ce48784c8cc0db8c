"""Where profiles are looked for, and which cards the kernel has."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevoice import cli, files
from edgevoice.drivers.profile_files import card_ids, hat_product, profile_texts
from edgevoice.errors import ConfigError

CARDS = """\
 0 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0
                      vc4-hdmi-0
 1 [Zero           ]: RPi_Codec_Zero - RPi Codec Zero
                      RPi Codec Zero
"""


def test_the_ids_of_the_cards_are_those_in_brackets(tmp_path: Path) -> None:
    file = tmp_path / "cards"
    file.write_text(CARDS)
    assert card_ids(file) == ["vc4hdmi0", "Zero"]


def test_a_kernel_without_sound_has_no_cards(tmp_path: Path) -> None:
    assert card_ids(tmp_path / "cards") == []
    (tmp_path / "none").write_text("--- no soundcards ---\n")
    assert card_ids(tmp_path / "none") == []


def test_a_profile_beside_the_configuration_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "codec-zero.toml").write_text("ids = ['mine']")
    (tmp_path / "profiles" / "attic.toml").write_text("ids = ['attic']")
    texts = profile_texts(tmp_path)
    assert texts["codec-zero"] == "ids = ['mine']"
    assert set(texts) == {*profile_texts(), "attic"}


def test_a_profile_that_is_not_text_is_a_matter_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"mine\.toml: is not UTF-8 text: byte 0"):
        profile_texts(tmp_path)


def test_a_hat_in_the_configuration_is_found_beside_it(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "attic.toml").write_text("ids = ['attic']\n[card]\ncapture = 'hw:CARD={card}'\n")
    file = tmp_path / "edgevoice.toml"
    file.write_text("[device]\nhat = 'attic'\n")
    assert files.configuration(file).card.capture == "hw:CARD=attic"


def test_devices_names_the_profiles_whose_card_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "card_ids", lambda: ["vc4hdmi0", "Zero"])
    assert cli.main(["devices"]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("HAT profiles (device.hat):\n  codec-zero: Raspberry Pi Codec Zero (IQaudIO), card Zero\n")


def test_the_memory_of_a_hat_says_whose_it_is(tmp_path: Path) -> None:
    assert hat_product(tmp_path) == ("", "")
    (tmp_path / "vendor").write_bytes(b"HiFiBerry\0")
    (tmp_path / "product").write_bytes(b"DAC+ ADC Pro\0")
    assert hat_product(tmp_path) == ("HiFiBerry", "DAC+ ADC Pro")
