"""Answers the driver: one command per line on standard input, one JSON line each on standard output.

It runs inside the environment of the framework that it serves.
"""

import json
import sys
import time


def serve(facts, run):
    """Sends `facts` once, then answers `run N` with the seconds that `run(N)` took."""
    # Frameworks may print anything; only our own lines may reach the driver.
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
