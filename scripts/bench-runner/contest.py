"""Takes all tools through one size: cold, no-op, touched, edited, taken back; collects rows."""

import os
import statistics
import time

import floor
import measure
import workload
from environments import Missing

# (seconds, runs): a cold run of at most so many seconds is repeated; longer ones run once.
REPETITIONS = [(20, 3), (60, 2)]
# No-ops slower than this take part in the first rounds only.
SLOW, SLOW_ROUNDS = 10.0, 3
# Tools that look at times distrust files changed within a clock tick, so wait that long.
SETTLE = 0.1


class Out(Exception):
    """Why a tool is out for this size and larger ones."""


class Contest:
    """`tools` are ours first; `loop` runs the commands without a tool."""

    def __init__(self, tools, loop, base, limit, rounds, most, say):
        self.tools, self.loop, self.base, self.limit = tools, loop, base, limit
        self.rounds, self.most, self.say = rounds, most, say
        self.rows, self.left_out = [], []
        self.home = base / "home"
        self.home.mkdir(parents=True)
        self.env = measure.environment(self.home)
        self.ran, self.log = base / "ran", base / "log"

    def size(self, count):
        """Everything about one number of stages."""
        self.stages = workload.stages(count, self.ran)
        try:
            self.cold()
            for measured, step in (("no-op", self.no_ops), ("touch", self.touch), ("edit", self.edit)):
                self.say(f"  {measured}")
                step()
        finally:
            for tool in [self.loop, *self.tools]:
                self.set_aside(tool)

    def folder(self, tool):
        return self.base / tool.name

    def set_aside(self, tool):
        """Out of the way, but not removed: where thousands of files were removed in the last minutes,
        ext4 makes new ones more slowly, for whoever comes next."""
        if self.folder(tool).exists():
            aside = self.base / "done"
            aside.mkdir(exist_ok=True)
            self.folder(tool).rename(aside / str(sum(1 for _ in aside.iterdir())))

    def guarded(self, tool, work):
        """What `work` gives; a tool that fails is out from here on."""
        try:
            return work(tool)
        except (Out, Missing) as reason:
            if tool is self.loop:
                raise measure.Failed(f"the bare loop: {reason}") from reason
            self.say(f"  {tool.name} left out: {reason}")
            self.left_out.append((tool.name, len(self.stages), str(reason)))
            self.tools = [other for other in self.tools if other is not tool]
            return None

    def run(self, tool, what, exact=False):
        """What one call cost, and how many stages it ran."""
        self.ran.write_bytes(b"")
        cost = measure.run(tool.command, self.folder(tool), self.env, self.log, self.limit, exact)
        if cost.over:
            raise Out(f"{what}: more than {self.limit / 60:g} minutes")
        if cost.status != 0:
            raise Out(f"{what}: ended with {cost.status}: {measure.last_line(self.log)}")
        cost.ran = len(self.ran.read_bytes().splitlines())
        return cost

    def check(self, tool, what, edited=False):
        wrong = workload.wrong_outs(self.folder(tool), len(self.stages), edited)
        if wrong:
            raise Out(f"{what}: {len(wrong)} outs are wrong, among them {wrong[0]}")

    def row(self, tool, measured, costs):
        """The medians of all runs of a kind."""
        walls = [cost.wall for cost in costs]
        foreign = [cost.foreign for cost in costs if cost.foreign is not None]
        self.rows.append({
            "workload": "stages", "stages": len(self.stages), "tool": tool.name, "measure": measured,
            "runs": len(costs), "wall_s": statistics.median(walls), "lowest_s": min(walls), "highest_s": max(walls),
            "cpu_s": statistics.median(cost.cpu for cost in costs), "ran": max(cost.ran for cost in costs),
            "foreign_cpus": max(foreign, default=None),
        })
        return self.rows[-1]

    # The steps.

    def cold(self):
        """In turns, each time in a folder without a trace of the time before."""
        costs = {tool.name: ([], []) for tool in [self.loop, *self.tools]}
        for turn in range(self.most):
            for tool in [self.loop, *self.tools]:
                if turn < self.repetitions(costs[tool.name][0]):
                    self.guarded(tool, lambda tool: self.cold_once(tool, *costs[tool.name]))
        for tool in [self.loop, *self.tools]:
            cold, first = costs[tool.name]
            row = self.row(tool, "cold", cold)
            row["peak_mib"] = max(cost.peak_mib for cost in cold) if tool is not self.loop else None
            if first:
                self.row(tool, "first no-op", first)
            self.say(f"  {tool.name}: cold {row['wall_s']:.2f} s")
        self.floor()

    def floor(self):
        """Least of three, as it is a bound."""
        found = []
        for _ in range(3):
            found.append(floor.measure(self.folder(floor), len(self.stages)))
            self.set_aside(floor)
        wall, cpu = (min(figures) for figures in zip(*found))
        self.rows.append({"workload": "floor", "stages": len(self.stages), "tool": floor.name, "measure": "cold",
                          "runs": len(found), "wall_s": wall, "cpu_s": cpu})

    def repetitions(self, costs):
        if not costs:
            return 1
        return min(self.most, next((n for seconds, n in REPETITIONS if costs[0].wall < seconds), 1))

    def cold_once(self, tool, cold, first):
        self.set_aside(tool)
        tool.make(self.folder(tool), self.stages, self.env)
        # Flush what creating the folder left behind, so that the tool is not charged for it.
        os.sync()
        time.sleep(SETTLE)
        cost = self.run(tool, "cold run", exact=True)
        if cost.ran != len(self.stages):
            raise Out(f"cold run: {cost.ran} of {len(self.stages)} stages ran")
        cold.append(cost)
        if tool is not self.loop:
            self.check(tool, "cold run")
            time.sleep(SETTLE)
            first.append(self.run(tool, "first no-op"))

    def no_ops(self):
        """In turns, back and forth; then once more for the memory alone."""
        costs = {tool.name: [] for tool in self.tools}
        for tool in self.tools:
            # Not counted: the second call is the first that can use what the first one found.
            self.guarded(tool, lambda tool: self.run(tool, "no-op"))
        for turn in range(self.rounds):
            for tool in self.tools if turn % 2 == 0 else self.tools[::-1]:
                mine = costs[tool.name]
                if turn < SLOW_ROUNDS or mine[0].wall < SLOW:
                    self.guarded(tool, lambda tool: mine.append(self.run(tool, "no-op")))
        for tool in list(self.tools):
            last = self.guarded(tool, lambda tool: self.run(tool, "no-op", exact=True))
            if last:
                self.row(tool, "no-op", costs[tool.name])["peak_mib"] = last.peak_mib

    def touch(self):
        """A source is written again as it was."""
        self.change("touched", False)

    def edit(self):
        """A letter of a source changes, and changes back."""
        self.change("edited", True)
        self.change("taken back", False)

    def change(self, measured, edited):
        def once(tool):
            time.sleep(SETTLE)
            workload.write_first(self.folder(tool), edited)
            time.sleep(SETTLE)
            cost = self.run(tool, measured)
            self.check(tool, measured, edited)
            self.row(tool, measured, [cost])

        for tool in list(self.tools):
            self.guarded(tool, once)
