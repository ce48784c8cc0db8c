"""Pins for gpiozero that another process presses and reads, over a Unix socket.

The program under test runs unchanged, with these in its environment (`pins.Pins.env` makes them):

    PYTHONPATH=<this folder>  GPIOZERO_PIN_FACTORY=lab  LABGPIO_SOCKET=<path>

One line in, one line out. Pins are BCM numbers that the program uses already; a level is 0 to 1 (a part of 1 is PWM),
a time is monotonic seconds, which all processes of a machine share.

    low 17          drive an input low             -> the time just before; what the edge calls has returned
    high 17         drive an input high            -> likewise
    get 25          read any pin                   -> its level
    edges 25        read all changes of a pin      -> JSON [[time, level], ...], oldest first
    edges 25 4 2.5  the same, once there are 4     -> likewise; waits 2.5 s at most
    follow 25       be told every change for ever  -> JSON [time, level] lines: those so far, now, and each as it comes
    wait 25 1 2.5   wait until it has this level   -> the time; 2.5 s at most
    anything else                                  -> "error: " and why

While the file that LABGPIO_HELD names is there, another program has the pins: claiming one fails as in the kernel.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingUnixStreamServer
from typing import Any, ClassVar

from gpiozero.pins.mock import MockFactory, MockPWMPin


class LabPin(MockPWMPin):  # type: ignore[misc]
    """A mock pin that remembers every change and when it was."""

    def __init__(self, factory: LabFactory, info: Any) -> None:
        self.trace: list[tuple[float, float]] = []
        super().__init__(factory, info)

    def _change_state(self, value: float) -> bool:
        with self.factory.changed:
            changed = bool(super()._change_state(value))
            if changed:
                self.trace.append((time.monotonic(), float(value)))
                self.factory.changed.notify_all()
        return changed


class LabFactory(MockFactory):  # type: ignore[misc]
    """Mock pins behind the socket named by LABGPIO_SOCKET. A program may have several: they share the socket."""

    changed = threading.Condition()
    _served: ClassVar[dict[str, list[LabFactory]]] = {}  # by socket, the newest first

    def __init__(self) -> None:
        super().__init__(pin_class=LabPin)
        path = Path(os.environ["LABGPIO_SOCKET"])
        self._together = self._served.setdefault(str(path), [])
        self._together.insert(0, self)
        if len(self._together) > 1:
            return
        path.unlink(missing_ok=True)  # of a predecessor that was killed
        threading.Thread(target=_Server(str(path), self).serve_forever, name="labgpio", daemon=True).start()

    def pin(self, name: Any) -> Any:
        """Claim one. Raises OSError while another program has it."""
        if (held := os.environ.get("LABGPIO_HELD")) and Path(held).exists():
            raise OSError(errno.EBUSY, "GPIO busy")
        return super().pin(name)

    def close(self) -> None:
        """Let go of the pins. They stay readable until the process ends: was the light off in the end?"""
        for pin in self.pins.values():
            pin.close()

    def answer(self, line: str) -> str:
        """Carry out one line."""
        try:
            match line.split():
                case ["low", pin]:
                    return self._drive(pin, high=False)
                case ["high", pin]:
                    return self._drive(pin, high=True)
                case ["get", pin]:
                    return f"{float(self._used(pin).state):g}"
                case ["edges", pin]:
                    return self._edges(pin, 0, 0.0)
                case ["edges", pin, count, within_s]:
                    return self._edges(pin, int(count), float(within_s))
                case ["wait", pin, level, within_s]:
                    return self._wait(pin, float(level), float(within_s))
            raise ValueError(
                f"{line.strip()!r} is no command, expected low|high|get|edges|follow PIN or wait PIN LEVEL SECONDS"
            )
        except ValueError as error:
            return f"error: {error}"

    def follow(self, number: str) -> Iterator[str]:
        """Yield the changes of a pin until now, how it is now, and each as it comes; what was told is forgotten."""
        pin = self._used(number)
        with self.changed:
            pin.trace.append((time.monotonic(), float(pin.state)))
        while True:
            with self.changed:
                self.changed.wait_for(lambda: bool(pin.trace))
                changes, pin.trace = pin.trace, []
                pin.clear_states()  # gpiozero's own memory of the same
            yield "".join(f"{json.dumps(change)}\n" for change in changes)

    def _used(self, number: str) -> LabPin:
        for pin in [pin for factory in self._together for pin in factory.pins.values()]:
            if pin.info.name == f"GPIO{int(number)}":
                return pin  # type: ignore[no-any-return]
        raise ValueError(f"the program does not use GPIO{number}")

    def _drive(self, number: str, *, high: bool) -> str:
        pin = self._used(number)
        if pin.function != "input":
            raise ValueError(f"GPIO{number} is an output of the program")
        at = time.monotonic()
        if high:
            pin.drive_high()
        else:
            pin.drive_low()
        return f"{at:.6f}"

    def _edges(self, number: str, count: int, within_s: float) -> str:
        trace = self._used(number).trace
        with self.changed:
            if not self.changed.wait_for(lambda: len(trace) >= count, within_s):
                raise ValueError(f"GPIO{number} changed {len(trace)} times, expected {count} within {within_s:g} s")
            return json.dumps(trace)

    def _wait(self, number: str, level: float, within_s: float) -> str:
        pin = self._used(number)
        with self.changed:
            if not self.changed.wait_for(lambda: float(pin.state) == level, within_s):
                raise ValueError(f"GPIO{number} is {float(pin.state):g}, expected {level:g} within {within_s:g} s")
            return f"{time.monotonic():.6f}"


class _Server(ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, factory: LabFactory) -> None:
        self.factory = factory
        super().__init__(path, _Client)


class _Client(StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        for line in self.rfile:
            match line.decode(errors="replace").split():
                case ["follow", pin]:
                    self._tell(pin)
                case words:
                    self.wfile.write(self.server.factory.answer(" ".join(words)).encode() + b"\n")

    def _tell(self, pin: str) -> None:
        try:
            for lines in self.server.factory.follow(pin):
                self.wfile.write(lines.encode())
        except ValueError as error:
            self.wfile.write(f"error: {error}\n".encode())
        except ConnectionError:  # nobody listens any more
            pass
