"""The mixer of a card in the laboratory, read and set by a process of its own, without amixer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

READ = """
import alsaaudio, json, sys
mixer = alsaaudio.Mixer(sys.argv[1], device=sys.argv[2])
{change}
side = alsaaudio.PCM_CAPTURE if "Capture Volume" in mixer.volumecap() else alsaaudio.PCM_PLAYBACK
on = mixer.getrec() if side == alsaaudio.PCM_CAPTURE else [1 - mute for mute in mixer.getmute()]
print(json.dumps([max(mixer.getvolume(side)), any(on)]))
"""


def control(name: str, device: str, env: Mapping[str, str], change: str = "") -> tuple[int, bool]:
    """Return the per cent of a control, and whether it is on; `change` is done to the `mixer` before."""
    command = [sys.executable, "-c", READ.format(change=change), name, device]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    percent, on = json.loads(done.stdout)
    return percent, on
