"""Asks the running box over its socket, and prints the answer: starts sooner than the whole `edgevoice ctl` does."""

import json
import socket
import sys


def ask(do: str) -> dict[str, object]:
    """Return the answer, {} when nobody answers."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(30)
        try:
            channel.connect("/run/edgevoice/control.sock")
            channel.sendall(json.dumps({"do": do}).encode() + b"\n")
            answer: dict[str, object] = json.loads(channel.makefile().readline() or "{}")
        except OSError:
            return {}
    return answer


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1])))
