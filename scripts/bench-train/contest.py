"""Chooses the participants and PyTorch's best settings, and lets them take turns."""

import json
import statistics
import subprocess
import time
from pathlib import Path

from worker import BATCH, Failed, Participant, Worker

HERE = Path(__file__).resolve().parent

# glibc gives freed memory back and faults it in again every step unless told to keep it.
# 32 MiB is the most that older versions accept for the first.
KEEP = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
HUGE = {"THP_MEM_ALLOC_ENABLE": "1"}
# A setting this near the best in qualifying may be the best: both go on.
NEAR = 0.95
# CPUs that other processes may use in a quiet chunk.
QUIET = 0.1


class Differs(Exception):
    """Two engines do not train the same network: nothing may be compared."""


class Contest:
    """Measures one variant after another and collects rows."""

    def __init__(self, steps, torch, keras, threads, isa, alternations, seconds, logs, modes, say):
        self.steps, self.torch, self.keras = steps, torch, keras
        self.threads, self.isa, self.modes = threads, isa, modes
        self.alternations, self.seconds, self.logs, self.say = alternations, seconds, logs, say
        self.rows, self.layers, self.left_out, self.versions, self.flops = [], [], [], {}, 0.0
        self.keras_modes = ["graph", "xla"]
        # Keeps compiled kernels, so that later runs need not wait for the compiler.
        self.inductor = {"TORCHINDUCTOR_CACHE_DIR": str(logs.parent / "inductor")}

    # Participants.

    def ours(self, variant, threads):
        command = [self.steps, "serve", variant, threads, self.isa]
        return Participant("ours", self.isa, threads, command, {})

    def pytorch(self, network, mode, layout, huge=False):
        setting = f"{mode} {layout}" + (" thp" if huge else "")
        command = [self.torch, "-B", HERE / "torch_worker.py", json.dumps(network), self.threads, mode, layout]
        environment = {**KEEP, **self.inductor, **(HUGE if huge else {})}
        return Participant("pytorch", setting, self.threads, command, environment)

    def tensorflow(self, network, mode):
        command = [self.keras, "-B", HERE / "keras_worker.py", json.dumps(network), self.threads, mode]
        return Participant("keras", mode, self.threads, command, KEEP)

    def start(self, participant, reference=None):
        """A worker whose network is the same as `reference`'s."""
        name = f"{participant.engine}-{participant.setting}".replace(" ", "-")
        worker = Worker(participant, self.logs / f"{name}.log")
        for fact in ("trainable", "moving", "forward_flops") if reference else ():
            theirs, ours = worker.facts[fact], reference.facts[fact]
            if theirs != ours:
                worker.stop()
                raise Differs(f"{participant.engine} has another network: {fact} {theirs}, ours {ours}")
        if "version" in worker.facts:
            self.versions[participant.engine] = worker.facts["version"]
        return worker

    # Measuring.

    def variant(self, name, network, sizes):
        """Everything about one variant; `sizes` are the epochs' images."""
        workers = [self.start(self.ours(name, self.threads))]
        ours = workers[0]
        # The networks are the same, so a step's nominal arithmetic is too.
        self.flops = ours.facts["train_flops"]
        try:
            ours.warm_up(self.seconds)
            workers += self.qualify_pytorch(name, network, ours)
            if self.keras and self.keras_modes:
                workers += self.qualify_keras(name, network, ours)
            self.alternate(name, workers)
            self.alone(name, ours)
            self.details(name, ours, sizes)
        finally:
            for worker in workers:
                worker.stop()

    def qualify_pytorch(self, name, network, ours):
        """The fastest setting, and the next where it is near."""
        grid = [(mode, layout) for mode in self.modes for layout in ("nchw", "nhwc")]
        best = self.qualify(name, [self.pytorch(network, *setting) for setting in grid], ours, [])
        if not best:
            raise Failed("no setting of PyTorch works")
        mode, layout = best[0][1].participant.setting.split(" ")
        best = self.qualify(name, [self.pytorch(network, mode, layout, huge=True)], ours, best)
        near = [worker for rate, worker in best if rate >= NEAR * best[0][0]]
        self.stop_others(best, near)
        return near

    def qualify_keras(self, name, network, ours):
        """The faster mode; nobody if none works."""
        modes = [self.tensorflow(network, mode) for mode in self.keras_modes]
        best = self.qualify(name, modes, ours, [])
        # XLA may need seconds per step; once beaten by this much, it is not tried again.
        self.keras_modes = [w.participant.setting for rate, w in best if rate > best[0][0] / 2]
        self.stop_others(best, [worker for _, worker in best[:1]])
        return [worker for _, worker in best[:1]]

    @staticmethod
    def stop_others(rated, keep):
        for _, worker in rated:
            if worker not in keep:
                worker.stop()

    def qualify(self, name, participants, ours, best):
        """Rates and workers of the best two of `best` and all that work, the fastest first."""
        for participant in participants:
            label = f"{participant.engine} {participant.setting}"
            try:
                worker = self.start(participant, ours)
                chunks = self.try_out(worker)
            except Failed as reason:
                self.say(f"  {label} left out: {reason}")
                self.left_out.append(f"{label} for {name}")
                continue
            self.row(name, worker, "qualify", chunks)
            rate = max(chunk.rate for chunk in chunks)
            self.say(f"  {label}: {rate:.0f} images/s")
            best = sorted([*best, (rate, worker)], key=lambda rated: -rated[0])
            # All at once would not fit into a small machine's memory.
            self.stop_others(best, [worker for _, worker in best[:2]])
            best = best[:2]
        return best

    def try_out(self, worker):
        """Two quiet chunks, or what six gave: a disturbed one should put nobody out."""
        try:
            worker.warm_up(self.seconds)
            chunks, start = [], time.monotonic()
            while sum(chunk.foreign <= QUIET for chunk in chunks) < 2:
                chunks.append(worker.chunk())
                if len(chunks) == 6 or time.monotonic() - start > 15:
                    break
            return chunks
        except Failed:
            worker.stop()
            raise

    def rounds(self, workers):
        """A list of chunks for each worker: of quiet rounds, if there are enough."""
        rounds = []
        while len(rounds) < 2 * self.alternations:
            # Back and forth, so that no participant always follows the same other.
            order = workers if len(rounds) % 2 == 0 else workers[::-1]
            chunks = {id(worker): worker.chunk() for worker in order}
            rounds.append([chunks[id(worker)] for worker in workers])
            quiet = [r for r in rounds if max(chunk.foreign for chunk in r) <= QUIET]
            if len(quiet) == self.alternations:
                rounds = quiet
                break
        return [list(chunks) for chunks in zip(*rounds)]

    def alternate(self, name, workers):
        """Everybody's training steps, one after the other, again and again."""
        results = self.rounds(workers)
        for worker, chunks in zip(workers, results):
            ratios = [us.rate / them.rate for us, them in zip(results[0], chunks)]
            self.row(name, worker, "train", chunks, ratios=ratios)
            rate = statistics.median(chunk.rate for chunk in chunks)
            who, than = f"{worker.participant.engine} {self.named(name, worker, '')['setting']}", ""
            if worker is not workers[0]:
                than = f", ours is {statistics.median(ratios):.2f} times as fast"
            self.say(f"  {who}: {rate:.0f} images/s in {len(chunks)} rounds{than}")

    def alone(self, name, ours):
        """Our own speed with one thread, against all."""
        one = self.start(self.ours(name, 1), ours)
        try:
            one.warm_up(self.seconds)
            all_threads, single = self.rounds([ours, one])
            ratios = [many.rate / alone.rate for many, alone in zip(all_threads, single)]
            self.row(name, one, "one thread", single, ratios=ratios)
        finally:
            one.stop()

    def details(self, name, ours, sizes):
        """What only our engine is asked: evaluation, epochs, layers."""
        ours.ask("evaluate", 1)
        batches = max(1, ours.steps * 2)
        seconds = [ours.ask("evaluate", batches)["seconds"] for _ in range(self.alternations)]
        self.times(name, ours, "evaluate", batches * BATCH, seconds)
        for images in sizes:
            self.times(name, ours, "epoch", images, [ours.ask("epoch", images)["seconds"]])
        steps = max(3, ours.steps)
        # The least disturbed of three: shares need one whole measurement, not a median of parts.
        answer = min((ours.ask("layers", steps) for _ in range(3)), key=lambda answer: answer["seconds"])
        rest = answer["seconds"] - sum(part["seconds"] for part in answer["layers"])
        unnamed = {"layer": "step", "pass": "unmeasured", "seconds": rest, "flops": None}
        for part in [*answer["layers"], unnamed]:
            self.layers.append(
                {
                    "variant": name,
                    "layer": part["layer"],
                    "pass": part["pass"],
                    "ms_per_step": part["seconds"] / steps * 1e3,
                    "share": part["seconds"] / answer["seconds"],
                    "gflops": part["flops"] / part["seconds"] * 1e-9 if part["flops"] else None,
                }
            )

    # Rows.

    def times(self, name, worker, measure, images, seconds):
        """A row of what was timed as a whole, without looking at others' use of the CPU."""
        rates = [images / s for s in seconds]
        self.rows.append(self.named(name, worker, measure) | summary(rates) | {"images": images})

    def row(self, name, worker, measure, chunks, ratios=None):
        """A row of chunks; `ratios` are our speed divided by this one's, round by round."""
        row = self.named(name, worker, measure) | summary([chunk.rate for chunk in chunks])
        row["images"] = worker.steps * BATCH
        row["peak_mib"] = worker.peak_mib()
        row["foreign_cpus"] = statistics.median(chunk.foreign for chunk in chunks)
        row["gflops"] = row["images_per_second"] * self.flops * 1e-9
        if ratios:
            row |= {"ratio": statistics.median(ratios), "ratio_lowest": min(ratios), "ratio_highest": max(ratios)}
        self.rows.append(row)

    @staticmethod
    def named(name, worker, measure):
        who = worker.participant
        return {
            "variant": name,
            "measure": measure,
            "engine": who.engine,
            "setting": worker.facts.get("isa", who.setting),
            "threads": who.threads,
        }


def summary(rates):
    """Median and range."""
    return {
        "images_per_second": statistics.median(rates),
        "lowest": min(rates),
        "highest": max(rates),
        "chunks": len(rates),
    }


def fma_peak(steps, threads, isa):
    """GFLOP/s of all threads and of one; nothing where the instruction set has no FMA."""
    command = [str(steps), "peak", str(threads), isa]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Failed(result.stderr.strip())
    return json.loads(result.stdout)
