"""The mixer of a box that dies: put back in the end as it was before the first process, on PulseAudio's mixer."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.box import PATIENCE_S, RunningBox
from tests.e2e.process import end
from tests.lab.mixer import control
from tests.lab.pulse import PulseAudio


def test_a_box_that_was_killed_puts_the_volume_back_that_the_first_one_found(tmp_path: Path) -> None:
    with PulseAudio() as pulse:
        assert control("Master", "speaker", pulse.env(), "mixer.setvolume(61); mixer.setmute(1)") == (61, False)
        kept = {"RUNTIME_DIRECTORY": str(tmp_path)}
        first = RunningBox(pulse, card="volume = 35", env=kept)
        with first:
            first.wait_for_state("idle")
            assert control("Master", "speaker", pulse.env()) == (35, True)
            first.process.kill()
            first.process.wait()
        assert control("Master", "speaker", pulse.env()) == (35, True)
        with RunningBox(pulse, card="volume = 40", env=kept) as second:
            second.wait_for_state("idle")
            assert control("Master", "speaker", pulse.env()) == (40, True)
            assert end(second.process, PATIENCE_S)
        assert control("Master", "speaker", pulse.env()) == (61, False)
