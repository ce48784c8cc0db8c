"""`make fuzz`: a million inputs for each parser, or as many as there is time for.

    python -m tests.fuzz [--inputs N] [--seconds S] [--seed N] [target ...]

Each target runs until it has had its inputs, or its seconds are over: then it says that it was cut off. What it raises
is a fault: the inputs since its call began are printed as a Python list. The exit code is 1 after a fault, 3 when all
that was tried went well, and not all was tried.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack

from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import CALL, TARGETS, Input, Target


def fuzz(target: Target, inputs: int, seconds: float, seed: int) -> tuple[int, list[Input], str]:
    """Return how many inputs it took; and if it broke, what led to it and the trace."""
    with ExitStack() as stack:
        return _fuzz(target.make(stack), Mutator(target.seeds, seed), inputs, time.monotonic() + seconds)


def _fuzz(take: Callable[[Input], None], mutator: Mutator, inputs: int, until: float) -> tuple[int, list[Input], str]:
    led: list[Input] = []
    for number in range(inputs):
        given = mutator.make()
        led = [*led[-CALL:], given] if len(led) > 2 * CALL else led
        led.append(given)
        try:
            take(given)
        except BaseException:  # anything: that is what is looked for
            return number, led[-CALL:], traceback.format_exc()
        if number % 256 == 0 and time.monotonic() > until:
            return number + 1, [], ""
    return inputs, [], ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--inputs", type=int, default=1_000_000, metavar="N", help="for each; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=3600, metavar="S", help="for each, at most; default: 3600")
    parser.add_argument("--seed", type=int, default=int(time.time()), metavar="N", help="default: the time")
    parser.add_argument("target", nargs="*", choices=[[], *TARGETS], help=f"default: all of {', '.join(TARGETS)}")
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    broken = cut_off = 0
    for name in chosen.target or TARGETS:
        began = time.monotonic()
        count, led, trace = fuzz(TARGETS[name], chosen.inputs, chosen.seconds, chosen.seed)
        took_s = time.monotonic() - began
        verdict = "BROKEN" if trace else "ok" if count == chosen.inputs else f"cut off after {count}"
        print(f"{name:14} {count:>9} inputs in {took_s:6.1f} s  {verdict}", flush=True)
        cut_off += not trace and count < chosen.inputs
        if trace:
            broken += 1
            print(f"seed {chosen.seed}; {trace}\nthe last of them: {led[-1]!r}\nall: {led!r}", file=sys.stderr)
    if cut_off:
        print(f"{cut_off} were cut off before {chosen.inputs} inputs: give them more --seconds", file=sys.stderr)
    return 1 if broken else 3 if cut_off else 0


if __name__ == "__main__":
    sys.exit(main())
