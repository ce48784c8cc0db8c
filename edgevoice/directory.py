"""Whom a target of the configuration means: the other side of a call that the box makes, and what joins us to them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from edgevoice.bridge import FarLeg
from edgevoice.call import Machine
from edgevoice.catalogue import Agents
from edgevoice.config import cannot_call, cannot_dial, is_line
from edgevoice.drivers.local import Nobody
from edgevoice.errors import DeviceError
from edgevoice.intercom import Intercom
from edgevoice.recordings import RECORDING, Recordings

if TYPE_CHECKING:
    from edgevoice.switchboard import Switchboard


class Directory:
    """Everybody whom the box can call. `lines` is None where there are none."""

    def __init__(self, agents: Agents, recordings: Recordings, now: Callable[[], float]) -> None:
        self.lines: Switchboard | None = None
        self._agents = agents
        self._config = agents.config
        self.recordings = recordings
        self._now = now

    @property
    def _push_to_talk(self) -> bool:
        return self._config.panel.press == "push_to_talk"

    def reach(self, target: str, stack: ExitStack) -> tuple[Machine, FarLeg]:
        """Return the other side, and the machine for a call to it; `stack` lasts as long. Raises ConfigError."""
        if target == RECORDING:
            return Intercom(listens=False), Nobody(self.recordings.rate)
        if is_line(target):
            assert self.lines is not None, "a line that is set up has a server"
            return Intercom(push_to_talk=self._push_to_talk), stack.enter_context(self.lines.dialling(target))
        return self._agents.make(target, self._now).join()

    def check(self, target: str) -> None:
        """Raise DeviceError when nobody of that name can be called."""
        if is_line(target):
            if problem := cannot_dial(self._config, target):
                raise DeviceError(problem)
        elif target not in self._agents.names:
            known = ", ".join(self._agents.names)
            raise DeviceError(f'there is no "{target}" to call; there are: {known}')
        elif problem := cannot_call(self._config, target):
            raise DeviceError(f"{target} cannot be called: {problem}")

    def unreachable(self, target: str) -> str:
        """Say why a call to `target` would fail now, as far as that can be known; "": it may not."""
        if target.startswith("sip:") and self.lines and self.lines.sip:
            return self.lines.sip.unreachable(target)
        return ""
