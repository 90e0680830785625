"""The participants: processes that train one network on the GPU when told to, and report the time."""

import json
import select
import sys
import time
from pathlib import Path

from worker import Failed, Participant, Worker

HERE = Path(__file__).resolve().parent


class Clock:
    """What is left of the time that everything together may take."""

    def __init__(self, minutes):
        self.start, self.limit = time.monotonic(), 60 * minutes

    def spent(self):
        return time.monotonic() - self.start

    def left(self):
        return self.limit - self.spent()


class Entrant(Worker):
    """A worker whose answers must come in time; `prepared` holds what preparing it gave."""

    def __init__(self, participant, log, clock, patience):
        self.clock, self.patience, self.prepared = clock, patience, {}
        self.epochs, self.each = 1, 1
        super().__init__(participant, log)

    def _answer(self):
        seconds = max(0.0, min(self.patience, self.clock.left()))
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise Failed(f"no answer in {seconds:.0f} s")
        return super()._answer()

    def prepare(self, seconds):
        """After this a chunk is whole epochs that fill `seconds`, and nothing is left to warm up."""
        if self.participant.engine == "pytorch":
            self.prepared = self.ask("prepare", 2)
            self.each = self.prepared["epoch_steps"]
        else:
            self.each = self.facts["epoch_steps"]
            self.ask("run", 2 * self.each)
        one = self.ask("run", self.each)["seconds"]
        self.epochs = max(1, round(seconds / one + 0.5))

    def rate(self, batch):
        """Images a second in one chunk."""
        steps = self.epochs * self.each
        answer = self.ask("run", steps)
        # Noise can be memorised, but not this fast, and the loss must not explode.
        if not 0 <= answer["loss"] < 100:
            raise Failed(f"its loss is {answer['loss']}")
        return steps * batch / answer["seconds"]

    @property
    def name(self):
        return f"{self.participant.engine} {self.participant.setting}"


class Entrants:
    """Starts them."""

    def __init__(self, steps, images, dry, logs, inductor, clock, patience):
        self.steps, self.images, self.dry = steps, images, dry
        self.logs, self.clock, self.patience = logs, clock, patience
        # Keeps compiled kernels, so that a second run need not wait for the compiler.
        self.environment = {"TORCHINDUCTOR_CACHE_DIR": str(inductor), "TQDM_DISABLE": "1"}
        if dry:
            # All of them wait on the same CPUs.
            self.environment["OMP_NUM_THREADS"] = "1"

    def ours(self, cell):
        if self.dry:
            return self.start("ours", "PyTorch on the CPU in our place", self.torch_command(cell, "eager", "nchw"))
        return self.start("ours", cell.precision, [self.steps, "serve", cell.name, cell.batch, cell.precision])

    def pytorch(self, cell, mode, layout):
        return self.start("pytorch", f"{mode} {layout}", self.torch_command(cell, mode, layout), cell.name)

    def torch_command(self, cell, mode, layout):
        setting = {
            "network": cell.network, "batch": cell.batch, "precision": cell.precision, "mode": mode,
            "layout": layout, "images": self.images, "device": "cpu" if self.dry else "cuda",
        }
        return [sys.executable, "-B", HERE / "torch_worker.py", json.dumps(setting)]

    def start(self, engine, setting, command, of=""):
        name = "".join(c if c.isalnum() else "-" for c in f"{engine} {setting} {of}").rstrip("-")
        participant = Participant(engine, setting, 0, command, self.environment)
        entrant = Entrant(participant, self.logs / f"{name}.log", self.clock, self.patience)
        if self.dry and engine == "ours":
            entrant.facts["train_flops"] = 3 * entrant.facts["forward_flops"]
            entrant.facts["gpu"], entrant.facts["epoch_steps"] = "CPU", entrant.ask("prepare", 1)["epoch_steps"]
        return entrant
