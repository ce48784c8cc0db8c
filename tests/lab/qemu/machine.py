"""The lab's machine: QEMU without KVM, so that it runs anywhere; and the agent in it that carries out what we ask."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

BOOT_S = 300.0  # an emulated processor beside other work
# A Pi Zero 2 W's processor with its 512 MB in QEMU's own board; or a PC.
PI = ("qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "cortex-a53")
PC = ("qemu-system-x86_64", "-M", "q35,accel=tcg,usb=off", "-cpu", "max")


class Machine:
    """One box, from power on to power off. Its disk is a copy, which stays between the two.

    Commands raise RuntimeError when they fail or take too long.
    """

    def __init__(self, folder: Path) -> None:
        self._image, self._run = folder, Path(tempfile.mkdtemp(prefix="edgevoice-lab-"))
        self.disk = self._run / "root.img"
        subprocess.run(["cp", "--sparse=always", folder / "root.img", self.disk], check=True)
        self._qemu: subprocess.Popen[bytes] | None = None
        self._number = 0

    def power_on(self) -> None:
        """Return when the agent answers."""
        path = self._run / "agent"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as door, (self._run / "console").open("ab") as console:
            door.bind(str(path))
            door.listen(1)
            door.settimeout(30)
            self._qemu = subprocess.Popen(
                self._command(path), stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
            )
            self._channel = door.accept()[0]
        self._channel.settimeout(BOOT_S)
        self._lines = self._channel.makefile("rb")
        while "hello" not in self._answer():
            pass

    def _command(self, agent: Path) -> list[str]:
        tree = self._image / "box.dtb"
        kind, console = (PI, "ttyAMA0") if tree.exists() else (PC, "ttyS0")
        return [
            *(*kind, *(["-dtb", str(tree)] if tree.exists() else []), "-smp", "2", "-m", "512"),
            *("-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"),
            *("-kernel", str(self._image / "vmlinuz"), "-initrd", str(self._image / "initrd.gz")),
            *("-append", f"console={console} root=/dev/vda quiet panic=-1 net.ifnames=0 mitigations=off"),
            *("-drive", f"file={self.disk},format=raw,if=virtio,cache=writeback"),
            *("-device", "virtio-serial-pci", "-chardev", f"socket,path={agent},id=lab"),
            *("-device", "virtserialport,chardev=lab,name=lab", "-device", "virtio-rng-pci"),
        ]

    def run(self, script: str, limit_s: float = 180.0) -> str:
        """Run a script in it, as root; return what it prints. Raises RuntimeError when it fails."""
        self._number += 1
        asked = {"script": script, "number": self._number, "limit_s": limit_s}
        self._channel.settimeout(limit_s + 30)
        self._channel.sendall(json.dumps(asked).encode() + b"\n")
        while (answer := self._answer()).get("number") != self._number:
            pass
        said = str(answer["said"]).strip()
        if answer["code"]:
            raise RuntimeError(f"{script}: exit code {answer['code']}\n{said}")
        return said

    def _answer(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise RuntimeError(f"the machine has gone: {self.console()}")
        start = line.find(b"{")
        try:
            answer: dict[str, Any] = json.loads(line[start:])
        except ValueError:
            return {}
        return answer

    def shut_down(self) -> None:
        """Power off as a person does who may wait."""
        assert self._qemu
        self.run("systemctl --no-block poweroff")
        self._qemu.wait(BOOT_S)
        self.pull_the_plug()

    def pull_the_plug(self) -> None:
        """End it at once: what the guest has not written to its disk is lost."""
        assert self._qemu
        self._qemu.kill()
        self._qemu.wait()
        self._lines.close()
        self._channel.close()

    def console(self) -> str:
        """Return the last of what the kernel and systemd said."""
        return (self._run / "console").read_text(errors="replace")[-2000:]

    def throw_away(self) -> None:
        """Power off, and forget its disk."""
        if self._qemu and self._qemu.poll() is None:
            self.pull_the_plug()
        shutil.rmtree(self._run)
