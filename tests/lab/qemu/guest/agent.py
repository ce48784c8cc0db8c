"""Runs shell commands that come as JSON lines over a serial port; answers with exit code and output."""

import json
import os
import subprocess
import sys
import termios
import time
import tty

while not os.path.exists(sys.argv[1]):
    time.sleep(0.1)
port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
try:
    tty.setraw(port)
except termios.error:
    pass  # a port of virtio is raw already


def send(answer: dict[str, object]) -> None:
    line = json.dumps(answer).encode() + b"\n"
    while line:
        line = line[os.write(port, line) :]


send({"hello": os.uname().release})
waiting = b""
while True:
    read = os.read(port, 65536)
    if not read:  # nobody has the other end
        time.sleep(0.1)
        continue
    *lines, waiting = (waiting + read).split(b"\n")
    for line in lines:
        asked = json.loads(line)
        try:
            done = subprocess.run(
                ["bash", "-c", asked["script"]],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=asked["limit_s"],
            )
            send({"number": asked["number"], "code": done.returncode, "said": done.stdout.decode(errors="replace")})
        except subprocess.TimeoutExpired:
            send({"number": asked["number"], "code": -1, "said": "it took too long"})
