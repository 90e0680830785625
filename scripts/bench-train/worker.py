"""A long-lived process that trains one network on command, and the cost of one chunk of work.

All engines speak the protocol of `serve.py`.
"""

import json
import os
import subprocess
import time
from dataclasses import dataclass

import machine

BATCH = 64


class Failed(Exception):
    """A worker ended or said what it should not."""


@dataclass
class Chunk:
    """Some training steps in a row."""

    rate: float  # images per second
    foreign: float  # CPUs that other processes used meanwhile


@dataclass
class Participant:
    """What to start: `engine` and `setting` are its names in the tables."""

    engine: str
    setting: str
    threads: int
    command: list
    environment: dict


class Worker:
    """A started participant."""

    def __init__(self, participant, log):
        self.participant, self.log, self.steps = participant, log, 1
        with open(log, "w", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [str(part) for part in participant.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **participant.environment},
            )
        try:
            self.facts = self._answer()
        except Failed:
            self.stop()
            raise

    def ask(self, command, n):
        """Sends a command and waits for its answer."""
        try:
            print(command, n, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # the missing answer shows why
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        with open(self.log, encoding="utf-8", errors="replace") as log:
            last = (log.read().strip() or "it said nothing").splitlines()[-1]
        name = f"{self.participant.engine} ({self.participant.setting})"
        raise Failed(f"{name} ended with {self.process.returncode}: {last}; see {self.log}")

    def warm_up(self, seconds):
        """Three steps that nobody counts, then as many steps a chunk as fill `seconds`."""
        self.ask("run", 3)
        one = self.ask("run", 1)["seconds"]
        self.steps = max(1, round(seconds / one + 0.5))

    def chunk(self):
        """One chunk, after a step that refills caches and wakes threads."""
        self.ask("run", 1)
        busy, own = machine.busy_seconds(), self._cpu()
        start = time.perf_counter()
        seconds = self.ask("run", self.steps)["seconds"]
        wall = time.perf_counter() - start
        foreign = (machine.busy_seconds() - busy) - (self._cpu() - own)
        return Chunk(self.steps * BATCH / seconds, max(0.0, foreign / wall))

    def _cpu(self):
        return machine.process_seconds(self.process.pid) + sum(os.times()[:2])

    def peak_mib(self):
        """The most memory that it ever had resident."""
        return machine.peak_mib(self.process.pid)

    def stop(self):
        """Ends it; never raises, so that cleaning up goes on."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
