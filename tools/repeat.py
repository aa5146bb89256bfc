"""Runs one test again and again on a machine that is made busy, and says how each run ended: `make repeat`.

A busy loop on each core, and the test at a lower priority than they have: what depends on luck shows here. Ends with
exit code 1 after all runs if one of them failed, the output of each failed one shown.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time

PYTEST = [sys.executable, "-m", "pytest", "-q"]
"""Not by the first line of its script, which a checkout with a blank in its path breaks."""

NICE = 5
RUN_SECONDS = 300
"""Longer than the limit of a test, which says what it waited for; pytest itself does not hang for longer."""


def main() -> int:
    times, arguments = int(sys.argv[1]), sys.argv[2:]
    burning = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(os.cpu_count() or 1)]
    for each in burning:
        each.start()
    os.nice(NICE)
    failed = 0
    for number in range(1, times + 1):
        failed += not _passes(number, arguments)
    print(f"{times} runs, {failed} failed", flush=True)
    return 1 if failed else 0


def _passes(number: int, arguments: list[str]) -> bool:
    began = time.monotonic()
    try:
        done = subprocess.run(
            [*PYTEST, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=RUN_SECONDS
        )
        code, said = str(done.returncode), done.stdout
    except subprocess.TimeoutExpired as hung:
        code, said = f"hung for {RUN_SECONDS} s", (hung.stdout or b"").decode(errors="replace")
    print(f"run {number}: exit code {code} after {time.monotonic() - began:.1f} s", flush=True)
    if code != "0":
        print(said, flush=True)
    return code == "0"


def _burn() -> None:
    while True:
        pass


if __name__ == "__main__":
    sys.exit(main())
