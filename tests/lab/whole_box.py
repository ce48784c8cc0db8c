"""The whole box, emulated: boots, is talked with, killed, hung, starved, unplugged in a call; prints a table.

    python -m tests.lab.whole_box build/lab/arm64

Kernel, systemd, sound card (snd-aloop) and pins (gpio-sim) are real ones, in a machine whose processor is emulated: the
times are those of an emulated machine beside other work, not those of a Pi. Exit code 1: something was not as it must.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.lab.qemu.machine import Machine

PYTHON = "/opt/edgevoice/current/bin/python -I"
STATUS = "/usr/bin/python3.11 -I /opt/lab/ask.py status"
HANG_UP = "/usr/bin/python3.11 -I /opt/lab/ask.py hangup"
TALK = f"{PYTHON} /opt/lab/conversation.py"
DRIVER = "/sys/bus/platform/drivers/snd_aloop"
SECTORS = "sync; awk '{print $7}' /sys/block/vda/stat"
WRITING_S = 360  # more than the five minutes after which journald writes what is not urgent
KEPT = "cat /etc/edgevoice/edgevoice.toml /opt/edgevoice/current/bin/* | sha256sum"


class Box:
    """The box in the machine, and the table of what is seen of it."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.run = machine, machine.run
        self.failed: list[str] = []

    def row(self, what: str, figure: str, good: bool = True, wanted: str = "") -> None:
        print(f"{'ok    ' if good else 'FAILED'}  {what:52}  {figure:34}  {wanted}", flush=True)
        if not good:
            self.failed.append(what)

    def property(self, name: str) -> str:
        """Return what systemd knows of the service."""
        return self.run(f"systemctl show -p {name} --value edgevoice")

    def status(self, name: str) -> object:
        """Return a field of what the box says of itself; None while nobody answers."""
        return json.loads(self.run(STATUS)).get(name)

    def until(self, look: Callable[[], bool], limit_s: float = 180.0) -> None:
        give_up = time.monotonic() + limit_s
        while not look():
            if time.monotonic() > give_up:
                raise TimeoutError(f"not within {limit_s:.0f} s")
            time.sleep(0.3)

    def idle(self) -> None:
        """Wait until it runs and nobody is in a call."""
        self.until(lambda: self.property("ActiveState") == "active" and self.status("state") == "idle")

    def why(self) -> str:
        """Return what helps to understand a failure."""
        journal = "journalctl -b --no-pager -o short-monotonic -u edgevoice -u lab-hardware -u caller | tail -60"
        try:
            return self.run(f"{journal}; dmesg | tail -20")
        except (RuntimeError, OSError) as gone:
            return f"{gone}\n{self.machine.console()}"


def main() -> int:
    """Return 0 when everything was as it must be."""
    machine = Machine(Path(sys.argv[1]))
    box = Box(machine)
    try:
        for step in (
            _is_installed,
            _boots,
            _explains_itself,
            _talks,
            _is_killed,
            _hangs,
            _is_starved,
            _loses_its_card,
            _is_before_its_card,
            _is_before_its_pins,
            _writes_nothing,
        ):
            step(box)
        _unplugged(box)
        _talks(box)
    except (RuntimeError, TimeoutError, OSError) as error:
        box.row(f"{type(error).__name__}: {error}", "", good=False)
    if box.failed:
        print(box.why())
    machine.throw_away()
    print(f"failed: {', '.join(box.failed)}" if box.failed else "all as it must be")
    return int(bool(box.failed))


def _is_installed(box: Box) -> None:
    """On a Debian that has never seen it: the package, the questions, the first conversation, by one stopwatch."""
    box.machine.power_on()
    at = time.monotonic()
    box.run("dpkg -i /opt/lab/edgevoice.deb && rm /opt/lab/edgevoice.deb", limit_s=600)
    box.row("dpkg -i", f"{time.monotonic() - at:.0f} s")
    asked_at = time.monotonic()
    box.run("edgevoice setup --yes --call parrot --no-test", limit_s=300)
    box.row("edgevoice setup, every answer a flag", f"{time.monotonic() - asked_at:.0f} s")
    box.idle()
    box.run(TALK)
    took = f"{time.monotonic() - at:.0f} s"
    box.row("dpkg -i to the end of the first conversation", took, wanted="120 s on a real one")
    box.machine.shut_down()


def _boots(box: Box) -> None:
    at = time.monotonic()
    box.machine.power_on()
    box.idle()
    box.row("machine", box.run("cat /proc/device-tree/model 2>/dev/null | tr '\\0' ' '; uname -mr"))
    box.row("power on to idle", f"{time.monotonic() - at:.0f} s")
    began, ready = (int(box.property(f"{name}Monotonic")) for name in ("InactiveExitTimestamp", "ActiveEnterTimestamp"))
    box.row("systemd starts it to READY", f"{(ready - began) / 1e6:.1f} s", wanted="3 s on a real one")
    panel = str(box.status("panel"))
    box.row("button and light by the kernel's pins", panel, panel == "button GPIO17, light GPIO27, pins of lgpio")
    failed = box.run("systemctl --failed --no-legend --no-pager")
    box.row("units that failed", failed or "none", not failed)
    score = box.run(
        "systemd-analyze security --no-pager edgevoice | sed -n 's/.*exposure level[^:]*: \\([0-9.]*\\).*/\\1/p'"
    )
    box.row("systemd-analyze security", score, float(score) <= 1.5, "1.5")
    memory = int(box.property("MemoryCurrent")) / 2**20
    box.row("memory of the unit (kernel's count)", f"{memory:.0f} MB of 192")


def _explains_itself(box: Box) -> None:
    findings = json.loads(box.run("edgevoice doctor --json --no-interaction || true"))["findings"]
    failed = [found for found in findings if found["level"] == "failed"]
    # It has no network; and nobody is at the other end of the loopback card, so its microphone is silent.
    mine = [found for found in failed if found["section"] != "Network" and found["name"] != "microphone"]
    box.row("edgevoice doctor, but for network and silence", f"{len(findings)} findings, {len(mine)} failed", not mine)
    for found in mine:
        print(f"        {found['name']}: {found['sentence']}")


def _talks(box: Box) -> None:
    figures = json.loads(box.run(TALK).splitlines()[-1])
    box.row("button by the kernel to light", f"{figures['press to light']:.0f} ms")
    box.row("end of question to answer", f"{figures['end of question to answer']:.0f} ms")
    stopped = bool(figures["dropped"])
    box.row("voice over the answer to silence (snd_pcm_drop)", f"{figures['voice to silence']:.0f} ms", stopped)
    counters = box.status("counters")
    assert isinstance(counters, dict)
    box.row("xruns since the start: captured, played", f"{counters['capture_xruns']}, {counters['playback_xruns']}")
    box.run(HANG_UP)
    box.idle()


def _is_killed(box: Box) -> None:
    _dies(box, "killed, to idle again", "kill -KILL $(systemctl show -p MainPID --value edgevoice)")


def _hangs(box: Box) -> None:
    _dies(
        box,
        "hung (SIGSTOP), found by the watchdog, to idle",
        "kill -STOP $(systemctl show -p MainPID --value edgevoice)",
    )


def _is_starved(box: Box) -> None:
    """The kernel ends a process that is over the unit's limit, and not the machine; afterwards it comes back."""
    less = "systemctl set-property --runtime edgevoice MemoryMax=24M"
    more = "systemctl set-property --runtime edgevoice MemoryMax=192M"
    _dies(box, "over its memory limit, killed by the kernel, to idle", less, then=more)
    killed = box.run("dmesg | grep -c 'Memory cgroup out of memory' || true")
    box.row("killed by the kernel for its memory", f"{killed} times", int(killed) > 0)


def _dies(box: Box, what: str, how: str, then: str = "") -> None:
    restarts, at = int(box.property("NRestarts")), time.monotonic()
    box.run(how)
    box.until(lambda: int(box.property("NRestarts")) > restarts)
    if then:
        box.run(then)
        at = time.monotonic()
    box.idle()
    seconds = time.monotonic() - at
    box.row(what, f"{seconds:.1f} s", seconds < 60, "30 s on a real one")


def _loses_its_card(box: Box) -> None:
    box.run(f"echo snd_aloop.0 >{DRIVER}/unbind", limit_s=60)
    box.until(lambda: box.status("state") == "fault")
    light = {box.run("cat /run/pins/sim_gpio27/value") for _ in range(40)}
    box.row("card gone: it says so, its light flashes", f"{box.status('light')}", light == {"0", "1"})
    at = time.monotonic()
    box.run(f"echo snd_aloop.0 >{DRIVER}/bind")
    box.idle()
    box.row("card back, to idle", f"{time.monotonic() - at:.1f} s", wanted="3 s on a real one")


def _is_before_its_card(box: Box) -> None:
    """The kernel has no driver of sound at all when the service starts: a USB card is plugged in later."""
    box.run(
        "systemctl stop edgevoice && modprobe -r snd-aloop && modprobe -r snd-timer && ! grep -q alsa /proc/devices",
        limit_s=60,
    )
    box.run("systemctl start edgevoice", limit_s=120)
    box.until(lambda: box.status("state") == "fault")
    at = time.monotonic()
    box.run("modprobe snd-aloop")
    box.idle()
    box.row("started where nothing was known of sound, then a card", f"{time.monotonic() - at:.1f} s to idle")


def _is_before_its_pins(box: Box) -> None:
    """Another program has the button's pin when the service starts."""
    hold = "import lgpio, time; lgpio.gpio_claim_input(lgpio.gpiochip_open(0), 17); time.sleep(600)"
    python = "/opt/edgevoice/current/bin/python"
    holder = f"systemd-run -q --collect --unit=holder -p WorkingDirectory=/tmp {python} -c '{hold}'"
    box.run(f"systemctl stop edgevoice && {holder}")
    box.run("sleep 3; systemctl start edgevoice", limit_s=120)
    box.until(lambda: bool(box.status("out_of_order")))
    box.row("a pin that another program has", box.property("StatusText")[:34], "GPIO" in box.property("StatusText"))
    at = time.monotonic()
    box.run("systemctl stop holder")
    box.until(lambda: not box.status("out_of_order"))
    box.row("the pin is free: button and light work", f"{time.monotonic() - at:.1f} s")
    _talks(box)


def _writes_nothing(box: Box) -> None:
    """Minutes of calls with the journal on the disk, as Debian has it, and in memory, as Raspberry Pi OS has it."""
    _writes(box, "persistent", _calls)
    _writes(box, "persistent", _waits)
    written = _writes(box, "volatile", _calls)
    box.row("with the journal in memory nothing is written", f"{written} bytes", written == 0, "0")


def _writes(box: Box, storage: str, work: Callable[[Box], str]) -> int:
    """Return the bytes that get to the disk while the box works, for WRITING_S, and tell what the journal got."""
    box.run(
        f"mkdir -p /var/log/journal; printf '[Journal]\nStorage={storage}\n' >/etc/systemd/journald.conf.d/lab.conf;"
        "systemctl restart systemd-journald; journalctl --flush;"
        "edgevoice ctl status >/dev/null; sleep 5"  # everything that is needed has been read once
    )
    before, began = int(box.run(SECTORS)), box.run("date +%s.%N")
    done = work(box)
    written = 512 * (int(box.run(SECTORS)) - before)
    box.row(f"{done}, journal {storage}: to the disk", f"{written} bytes")
    for whose, unit in (("ours", "-u edgevoice"), ("everybody's", "")):
        said = box.run(f"journalctl -q -o cat --since @{began} {unit} | wc -lc").split()
        box.row(f"  lines in the journal, {whose}", f"{said[0]}, of {said[1]} bytes")
    return written


def _calls(box: Box) -> str:
    one = f"edgevoice ctl call parrot >/dev/null; sleep 6; {HANG_UP} >/dev/null; sleep 1"
    until = f"until=$(($(date +%s) + {WRITING_S})) calls=0"
    script = f"{until}; while [ $(date +%s) -lt $until ]; do {one}; calls=$((calls + 1)); done; echo $calls"
    return f"{box.run(script, limit_s=WRITING_S + 120)} calls in {WRITING_S} s"


def _waits(box: Box) -> str:
    box.run(f"sleep {WRITING_S}", limit_s=WRITING_S + 120)
    return f"nobody calls for {WRITING_S} s"


def _unplugged(box: Box) -> None:
    before = box.run(KEPT)
    box.run(f"systemd-run -q --collect --unit=caller {TALK} call")
    box.until(lambda: box.status("state") == "in call")
    box.machine.pull_the_plug()
    at = time.monotonic()
    box.machine.power_on()
    box.idle()
    kept = box.run(KEPT) == before
    box.row("unplugged in a call, and on again, to idle", f"{time.monotonic() - at:.0f} s, files as before", kept)
    found = box.run("dmesg | grep -ci 'ext4.*error' || true")
    box.row("errors of the file system", found, found == "0")


if __name__ == "__main__":
    sys.exit(main())
