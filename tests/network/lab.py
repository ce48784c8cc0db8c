"""Two hosts and a cable: this one, and a network namespace with the exchange and an echo in it. Needs root.

here 10.77.0.1 ── veth ── 10.77.0.2 there: Kamailio, and a telephone that sends back what it hears

There may be several at a time, each with a `number` of its own: 10.77.1.1 ── veth ── 10.77.1.2, and so on.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgevoice.lines.sip_account import Account, worker_account, worker_start
from tests.e2e.sip import Registrar, bare, password_of

HERE, THERE, ELSEWHERE = "10.77.0.1", "10.77.0.2", "10.77.0.3"
ROOT = Path(__file__).parent.parent.parent


class Cable:
    """The link. Each direction can lose packets."""

    def __init__(self, number: int = 0) -> None:
        self.address, self._address_there = (end.replace(".0.", f".{number}.") for end in (HERE, THERE))
        names = f"{os.getpid()}-{number}"  # a device's name has 15 letters at most
        self.space, self.here, self.there = f"evlab{names}", f"eva{names}", f"evb{names}"
        self.inside = ("ip", "netns", "exec", self.space)
        self._loses = False

    def __enter__(self) -> Cable:
        _do("ip", "netns", "add", self.space)
        _do("ip", "link", "add", self.here, "type", "veth", "peer", "name", self.there, "netns", self.space)
        _do("ip", "addr", "add", f"{self.address}/24", "dev", self.here)
        _do("ip", "link", "set", self.here, "up")
        for words in (
            f"addr add {self._address_there}/24 dev {self.there}",
            f"link set {self.there} up",
            "link set lo up",
        ):
            _do(*self.inside, "ip", *words.split())
        return self

    def __exit__(self, *_: object) -> None:
        if self._loses:
            _do("nft", "delete", "table", "netdev", self.space)
        _do("ip", "netns", "del", self.space)
        subprocess.run(["ip", "link", "del", self.here], capture_output=True, check=False)  # gone with the other end

    def lose(self, percent: int) -> None:
        """Lose so many of a hundred packets in each direction, where they arrive: who sends is told nothing."""
        for inside, device in ((), self.here), (self.inside, self.there):
            text = (
                f"add table netdev {self.space}\n"
                f"add chain netdev {self.space} lost {{ type filter hook ingress device {device} priority 0; }}\n"
                f"add rule netdev {self.space} lost meta l4proto udp numgen random mod 100 < {percent} drop\n"
            )
            subprocess.run([*inside, "nft", "-f", "-"], input=text, text=True, check=True)
        self._loses = True

    def pull(self) -> None:
        _do("ip", "link", "set", self.here, "down")

    def plug(self) -> None:
        _do("ip", "link", "set", self.here, "up")

    def move(self) -> None:
        """Give this host another address, as a router does that was switched on again."""
        _do("ip", "addr", "del", f"{self.address}/24", "dev", self.here)
        _do("ip", "addr", "add", f"{ELSEWHERE}/24", "dev", self.here)


def _do(*words: str) -> None:
    subprocess.run(words, check=True)


@contextmanager
def echo(cable: Cable, registrar: Registrar) -> Iterator[None]:
    """Have a telephone there that answers once and sends back what it hears."""
    account = Account(registrar.address, "reception")
    known = worker_account(account, password_of("reception"), codecs=("PCMA",), srtp="off")
    first = dict(worker_start([account], [known], calls=4, jitter_ms=20, ca_file=""))
    with tempfile.TemporaryDirectory() as folder, bare("echo", f"{folder}/heard.npz", first, inside=cable.inside):
        yield
