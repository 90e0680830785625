"""Chooses what to measure, and in which order, within the time limit; lets the participants take turns."""

import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from worker import Failed

PRECISIONS = ["f32", "tf32", "bf16"]
# The official archive's training images, less those for validation.
EPOCH = 45_000
SETTINGS = {"eager": [("eager", "nchw"), ("eager", "nhwc")], "compile": [("compile", "nhwc")]}
# With less time left, a cell is not started.
LEAST = {"eager": 15, "compile": 60}
# A round that takes longer than this, in seconds, is repeated less often.
LONG, FEW = 2.5, 3


class Differs(Exception):
    """Two engines do not train the same network: nothing may be compared."""


@dataclass(frozen=True)
class Cell:
    """One network, batch size and precision, against PyTorch in one mode."""

    mode: str
    name: str
    batch: int
    precision: str
    network: dict

    def __str__(self):
        return f"{self.mode}: {self.name}, batches of {self.batch}, {self.precision}"


def groups(networks, batches, precisions, modes):
    """Cells in the order of their importance; those of a list are compiled together."""
    found = []
    for batch in batches:
        for mode in modes:
            for precision in precisions:
                cells = [Cell(mode, name, batch, precision, network) for name, network in networks.items()]
                found.append(cells)
    return found


class Contest:
    """Measures cells and collects rows."""

    def __init__(self, entrants, clock, peaks, rounds, seconds, jobs, say):
        self.entrants, self.clock, self.peaks = entrants, clock, peaks
        self.rounds, self.seconds, self.jobs, self.say = rounds, seconds, jobs, say
        self.rows, self.left_out, self.facts = [], [], {}

    def run(self, groups):
        for cells in groups:
            for start in range(0, len(cells), self.jobs):
                self.some(cells[start:start + self.jobs])

    def some(self, cells):
        """A few cells whose opponents get ready at the same time."""
        if self.clock.left() < LEAST[cells[0].mode]:
            self.left_out += [(str(cell), "no time was left") for cell in cells]
            return
        asked = [(cell, setting) for cell in cells for setting in SETTINGS[cell.mode]]
        with ThreadPoolExecutor(len(asked)) as pool:
            ready = list(pool.map(lambda of: self.opponent(*of), asked))
        opponents = [(cell, entrant) for (cell, _), entrant in zip(asked, ready) if entrant]
        try:
            for cell in cells:
                self.cell(cell, [entrant for of, entrant in opponents if of is cell])
        finally:
            for _, entrant in opponents:
                entrant.stop()

    def opponent(self, cell, setting):
        """A started one, or nothing. Eager ones get ready later, alone: nobody waits long for them."""
        entrant = None
        try:
            entrant = self.entrants.pytorch(cell, *setting)
            if cell.mode == "compile":
                entrant.prepare(self.seconds)
            return entrant
        except Failed as reason:
            self.drop(cell, " ".join(setting), reason, [entrant])
            return None

    def drop(self, cell, who, reason, entrants):
        self.left_out.append((f"{cell}: {who}", str(reason)))
        self.say(f"  {who} left out for {cell}: {reason}")
        for entrant in filter(None, entrants):
            entrant.stop()

    def cell(self, cell, opponents):
        self.say(str(cell))
        if not opponents:
            return
        ours = None
        try:
            ours = self.entrants.ours(cell)
            self.facts["GPU"] = ours.facts["gpu"]
            ours.prepare(self.seconds)
        except Failed as reason:
            self.drop(cell, "ours", reason, [ours])
            return
        try:
            there = [entrant for entrant in opponents if self.fits(cell, ours, entrant)]
            self.alternate(cell, [ours, *there])
        finally:
            ours.stop()

    def fits(self, cell, ours, entrant):
        """Whether it trains: then it must train the same network on the same GPU."""
        for fact in ("trainable", "moving", "forward_flops"):
            if entrant.facts[fact] != ours.facts[fact]:
                raise Differs(f"{cell}: PyTorch's {fact} are {entrant.facts[fact]}, ours {ours.facts[fact]}")
        self.facts["PyTorch"] = entrant.facts["version"]
        try:
            if cell.mode == "eager":
                entrant.prepare(self.seconds)
        except Failed as reason:
            self.drop(cell, entrant.name, reason, [entrant])
            return False
        if entrant.prepared["gpu"] != ours.facts["gpu"]:
            raise Differs(f"PyTorch uses a {entrant.prepared['gpu']}, we a {ours.facts['gpu']}")
        return True

    def alternate(self, cell, entrants):
        rates = []
        began = self.clock.spent()
        while len(rates) < self.rounds:
            # Back and forth, so that no participant always follows the same other.
            order = entrants if len(rates) % 2 == 0 else entrants[::-1]
            try:
                round_ = {id(entrant): entrant.rate(cell.batch) for entrant in order}
            except Failed as reason:
                self.drop(cell, "after some rounds, all", reason, [])
                break
            rates.append([round_[id(entrant)] for entrant in entrants])
            if len(rates) >= FEW and (self.clock.spent() - began) / len(rates) > LONG:
                break
        if not rates:
            return
        for entrant, own in zip(entrants, zip(*rates)):
            ratios = [round_[0] / rate for round_, rate in zip(rates, own)]
            self.row(cell, entrant, entrants[0].facts["train_flops"], own, ratios)

    def row(self, cell, entrant, flops, rates, ratios):
        rate = statistics.median(rates)
        teraflops = rate * flops * 1e-12
        row = {
            "network": cell.name, "batch": cell.batch, "precision": cell.precision, "against": cell.mode,
            "engine": entrant.participant.engine, "setting": entrant.participant.setting,
            "adam": entrant.prepared.get("adam"), "prepare_seconds": entrant.prepared.get("seconds"),
            "images_per_second": rate, "lowest": min(rates), "highest": max(rates), "rounds": len(rates),
            "tflops": teraflops, "share_of_peak": teraflops / self.peaks[cell.precision] if self.peaks else None,
            "epoch_seconds": EPOCH / rate,
        }
        than = ""
        if entrant.participant.engine != "ours":
            row |= {"ratio": statistics.median(ratios), "ratio_lowest": min(ratios), "ratio_highest": max(ratios)}
            than = f", ours is {row['ratio']:.2f} times as fast"
        self.rows.append(row)
        self.say(f"  {entrant.name}: {rate:.0f} images/s{than}")
