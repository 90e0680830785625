"""Large inputs: a 4 GiB file and 60,000 small ones, compared with b3sum and DVC; and a plan of 100,000 stages."""

import os
import shutil
import statistics

import measure
import workload
from machine import memory_gib

GIB = 2**30
FILE_GIB, FILES, FOLDERS, PLANNED = 4, 60_000, 60, 100_000
# Planning this digests `data` and does nothing else.
READ = workload.Stage("read", ["data"], "out.txt", "ls -d data > out.txt")


class Inputs:
    """`b3sum` and `dvc` may be missing: what is there is measured."""

    def __init__(self, tool, b3sum, dvc, contest, say):
        self.tool, self.restage, self.b3sum, self.dvc, self.say = tool, tool.program, b3sum, dvc, say
        self.base, self.env, self.limit = contest.base, contest.env, contest.limit
        self.rows, self.left_out = [], []

    def all(self):
        steps = [("4 GiB file", self.file), ("60,000 files", self.folder), ("100,000 stages", self.plan)]
        for name, step in steps:
            self.say(name)
            folder = self.base / "inputs"
            folder.mkdir()
            try:
                step(name, folder)
            except measure.Failed as reason:
                self.say(f"  left out: {reason}")
                self.left_out.append((name, str(reason)))
            finally:
                shutil.rmtree(folder)

    def file(self, name, folder):
        free = shutil.disk_usage(folder).free / GIB
        if free < 2.5 * FILE_GIB or memory_gib() < 1.5 * FILE_GIB:
            raise measure.Failed(f"needs {2.5 * FILE_GIB:g} GiB of disk and {1.5 * FILE_GIB:g} GiB of memory")
        block = os.urandom(64 * 2**20)
        with open(folder / "data", "wb") as file:
            for _ in range(FILE_GIB * GIB // len(block)):
                file.write(block)
        self.digest(name, folder, [self.b3sum, "data"])

    def folder(self, name, folder):
        for place in range(FOLDERS):
            inner = folder / "data" / f"{place:02}"
            inner.mkdir(parents=True)
            for number in range(FILES // FOLDERS):
                (inner / f"{number}.txt").write_bytes(f"file {place} {number}\n".encode() * 60)
        script = f"find data -type f -print0 | xargs -0 '{self.b3sum}'"
        self.digest(name, folder, ["/bin/sh", "-c", script])

    def digest(self, name, folder, theirs):
        """In turns, warm; ours each time without a trace of the time before."""
        os.sync()
        self.tool.set_up(folder, [READ], self.env)
        plan = [self.restage, "reproduce", "--dry-run", "--quiet"]
        turns = [("restage", plan)] + ([("b3sum", theirs)] if self.b3sum else [])
        costs = {who: [] for who, _ in turns}
        for turn in range(10):
            for who, command in turns if turn % 2 == 0 else turns[::-1]:
                shutil.rmtree(folder / ".restage", ignore_errors=True)
                cost = self.run(command, folder)
                if turn:  # the first only warms
                    costs[who].append(cost)
        for who, found in costs.items():
            self.row(name, who, "first digest", found)
        shutil.rmtree(folder / ".restage", ignore_errors=True)
        self.stage(name, folder, self.tool, 7)
        if self.dvc:
            (folder / READ.out).unlink()
            self.dvc.set_up(folder, [READ], self.env)
            self.stage(name, folder, self.dvc, 3)

    def stage(self, name, folder, tool, times):
        """The stage that reads it all: cold, then with nothing to do."""
        self.row(name, tool.name, "cold", [self.run(tool.command, folder, exact=True)])
        self.row(name, tool.name, "first no-op", [self.run(tool.command, folder)])
        # The second call is the first that can use what the first one found.
        self.run(tool.command, folder)
        self.row(name, tool.name, "no-op", [self.run(tool.command, folder) for _ in range(times)])

    def plan(self, name, folder):
        self.tool.make(folder / "plan", workload.stages(PLANNED, self.base / "ran"), self.env)
        command = [self.restage, "reproduce", "--dry-run"]
        found = [self.run(command, folder / "plan", exact=True) for _ in range(3)]
        self.row(name, "restage", "plan", found)["peak_mib"] = max(cost.peak_mib for cost in found)

    def run(self, command, folder, exact=False):
        log = self.base / "log"
        cost = measure.run(command, folder, self.env, log, self.limit, exact)
        if cost.over or cost.status != 0:
            why = "over the limit" if cost.over else f"ended with {cost.status}: {measure.last_line(log)}"
            raise measure.Failed(f"`{os.path.basename(command[0])}` {why}")
        return cost

    def row(self, name, who, measured, costs):
        walls = [cost.wall for cost in costs]
        self.rows.append({
            "workload": name, "tool": who, "measure": measured, "runs": len(costs),
            "wall_s": statistics.median(walls), "lowest_s": min(walls), "highest_s": max(walls),
            "cpu_s": statistics.median(cost.cpu for cost in costs),
            "foreign_cpus": max((cost.foreign for cost in costs if cost.foreign is not None), default=None),
        })
        return self.rows[-1]
