"""What the journal has of the state: each change, but of tries in a row the first and the one that succeeds."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from edgevoice import schema
from edgevoice.appliance import Appliance
from edgevoice.box_panel import BoxPanel
from edgevoice.drivers import pins
from edgevoice.events import Closed, End
from edgevoice.happenings import CallEnded, CallOpened, CardLost, CardReady, Happening, Rings

NO_WAY = CallEnded(Closed(End.LINK_LOST, "the service cannot be reached", unreached=True))


def told(caplog: pytest.LogCaptureFixture, *story: Happening | None) -> list[tuple[int, str]]:
    """Return level and words of each line; None in the story lets the box do what is due."""
    box = Appliance(button="parrot", at_start="openai")
    panel, at = BoxPanel(box), 0.0
    with caplog.at_level(logging.DEBUG, "edgevoice.box_panel"):
        for happening in story:
            at += 1.0
            if happening is None:
                at = box.deadline or at
                box.expire(at)
            else:
                box.receive(happening, at)
            panel.show()
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def test_of_many_tries_it_has_the_first_and_the_one_that_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    lines = told(caplog, CardReady(), NO_WAY, None, NO_WAY, None, NO_WAY, None, CallOpened())
    heard = [words for level, words in lines if level >= logging.WARNING]
    assert heard == ["box: waiting to retry: the service cannot be reached", "box: in call, after 3 tries"]


def test_a_card_that_is_lost_meanwhile_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    lines = told(caplog, CardReady(), NO_WAY, None, NO_WAY, CardLost("the card is gone"))
    assert lines[-1] == (logging.WARNING, "box: fault: the card is gone")


def test_a_call_that_comes_in_meanwhile_is_none_that_was_tried(caplog: pytest.LogCaptureFixture) -> None:
    lines = told(caplog, CardReady(), NO_WAY, None, NO_WAY, Rings("elks-1", allowed=True))
    assert lines[-1] == (logging.INFO, "box: ringing")


@pytest.mark.parametrize("wanted", [True, False])
def test_a_machine_without_pins_is_a_trouble_where_somebody_wrote_of_a_button(
    wanted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.setattr(pins, "GPIO_CHIPS", str(tmp_path / "gpiochip*"))
    panel = BoxPanel(Appliance(button="parrot"))
    panel.open(schema.Panel(), wanted=wanted, on_press=print, on_release=print, on_hold=print)
    assert panel.facts == f"no pins: this machine has no {tmp_path}/gpiochip*"
    assert panel.trouble == (panel.facts if wanted else "")
