"""A sound card that we did not write: PulseAudio with null sinks, reached through its own ALSA plugin.

    with PulseAudio() as pulse:
        program = subprocess.Popen([...], env=pulse.env())   # opens "speaker" and "mic"

`speaker` is where the program plays, `air` is what its microphone hears; `speaker_monitor` lets a test record the
first, and a test that plays into `air` speaks to the program. The server is a process with a directory of its own;
it is stopped by its process id.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

SERVER = """
load-module module-null-sink sink_name=speaker rate={rate} channels=1 norewinds=1
load-module module-null-sink sink_name=air rate={rate} channels=1 norewinds=1
load-module module-remap-source source_name=mic master=air.monitor
load-module module-native-protocol-unix auth-anonymous=1 socket={socket}
"""
ALSA = """
</usr/share/alsa/alsa.conf>
pcm.speaker {{ type pulse server "unix:{socket}" device speaker }}
pcm.mic {{ type pulse server "unix:{socket}" device mic }}
ctl.speaker {{ type pulse server "unix:{socket}" sink speaker source mic }}
ctl.mic {{ type pulse server "unix:{socket}" sink speaker source mic }}
pcm.air {{ type pulse server "unix:{socket}" device air }}
pcm.speaker_monitor {{ type pulse server "unix:{socket}" device speaker.monitor }}
pcm.air_monitor {{ type pulse server "unix:{socket}" device air.monitor }}
"""


class PulseAudio:
    """One server for one test."""

    def __init__(self, rate: int = 48_000) -> None:
        self.rate = rate
        self._folder = Path(tempfile.mkdtemp(prefix="edgevoice-pulse."))
        self._socket = self._folder / "native"

    def __enter__(self) -> PulseAudio:
        self._log = open(self._folder / "log", "w+")
        (self._folder / "asound.conf").write_text(ALSA.format(socket=self._socket))
        self.start()
        return self

    def kill(self) -> None:
        """Let the server die without a goodbye."""
        self._process.kill()
        self._process.wait(30)
        self._socket.unlink(missing_ok=True)

    def start(self) -> None:
        """Start it, or start it again."""
        script = self._folder / "server.pa"
        script.write_text(SERVER.format(rate=self.rate, socket=self._socket))
        command = ["pulseaudio", "-n", "--system=false", "--daemonize=no", "--exit-idle-time=-1"]
        command += ["--use-pid-file=no", "--disable-shm=yes", "--log-level=error", "-F", str(script)]
        self._process = subprocess.Popen(command, env=self._home(), stdout=self._log, stderr=subprocess.STDOUT)
        give_up = time.monotonic() + 30
        while not self._socket.exists():
            if self._process.poll() is not None or time.monotonic() > give_up:
                self._log.seek(0)
                raise AssertionError(f"pulseaudio did not start: {self._log.read()}")
            threading.Event().wait(0.02)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _home(self) -> dict[str, str]:
        folder = str(self._folder)
        return {**os.environ, "HOME": folder, "XDG_RUNTIME_DIR": folder, "XDG_CONFIG_HOME": folder}

    def env(self) -> dict[str, str]:
        """Return the environment for a program that shall find this card."""
        return {**self._home(), "ALSA_CONFIG_PATH": str(self._folder / "asound.conf")}
