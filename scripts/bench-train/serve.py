"""Answers the driver: a command a line on standard input, JSON a line on standard output.

It must not know which framework works behind it; it runs inside that framework's environment.
"""

import json
import sys
import time


def serve(facts, run):
    """Says `facts` once, then answers `run N` with the seconds that `run(N)` took."""
    # Frameworks print what they like: only our own lines may reach the driver.
    out, sys.stdout = sys.stdout, sys.stderr

    def say(answer):
        print(json.dumps(answer), file=out, flush=True)

    say(facts)
    for line in sys.stdin:
        command, n = line.split()
        if command != "run":
            sys.exit(f"unknown command `{command}`")
        start = time.perf_counter()
        run(int(n))
        say({"seconds": time.perf_counter() - start})
