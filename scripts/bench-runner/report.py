"""Shows the measurements: a CSV table, the targets, and tables with a row for each tool."""

import page
from page import table

COLUMNS = ["workload", "stages", "tool", "measure", "runs", "wall_s", "lowest_s", "highest_s", "cpu_s", "peak_mib",
           "ran", "foreign_cpus"]
# If other processes used more CPUs than this, the cell says so.
BUSY = 0.1
# Rows that are not tools.
SPOKEN = {"sh": "bare loop", "files": "file operations alone"}


class Results:
    """Looks up rows by what they measure."""

    def __init__(self, rows, left_out):
        self.rows, self.left_out = rows, left_out
        staged = [row for row in rows if row["workload"] == "stages"]
        self.sizes = list(dict.fromkeys(row["stages"] for row in staged))
        self.tools = [name for name in dict.fromkeys(row["tool"] for row in staged) if name not in SPOKEN]

    def of(self, tool, measured, stages=None, workload="stages"):
        wanted = {"tool": tool, "measure": measured, "workload": workload}
        found = (row for row in self.rows if all(row[key] == value for key, value in wanted.items()))
        return next((row for row in found if row.get("stages") == stages), None)

    def value(self, key, *what, **where):
        row = self.of(*what, **where)
        return row and row.get(key)

    def own_cpu(self, tool, stages):
        """CPU milliseconds per stage beyond the bare loop."""
        theirs, bare = (self.value("cpu_s", who, "cold", stages) for who in (tool, "sh"))
        return None if theirs is None or bare is None else 1000 * (theirs - bare) / stages

    def floor(self, stages):
        """CPU milliseconds per stage for the file operations that any such runner must do."""
        cpu = self.value("cpu_s", "files", "cold", stages, workload="floor")
        return None if cpu is None else 1000 * cpu / stages


def write_page(path, facts, results):
    page.replace(path, "bench-runner", [page.facts_list(facts), *tables(results)])


def tables(found):
    def wall(row):
        busy = " (busy)" if (row["foreign_cpus"] or 0) > BUSY else ""
        return seconds(row["wall_s"]) + busy

    def ran(row):
        return f"{seconds(row['wall_s'])}, {row['ran']} ran"

    def peak(row):
        return f"{row['peak_mib']:.0f}"

    def own_cpu(tool, size):
        return number(found.floor(size) if tool == "files" else found.own_cpu(tool, size), "{:.2f}")

    parts = [
        bars(found),
        each(found, "Cold run, wall time", "cold", wall, ["sh"]),
        each_value(found, "Cold run, own CPU time per stage beyond the bare loop, ms", own_cpu, ["files"]),
        each(found, "First no-op after a run", "first no-op", wall),
        each(found, "No-op", "no-op", wall),
        each(found, "Peak memory of a no-op, MiB", "no-op", peak),
        each(found, "Peak memory of a cold run, MiB (the largest process)", "cold", peak),
        each(found, "A source rewritten unchanged", "touched", ran),
        each(found, "One letter of a source changed", "edited", ran),
        each(found, "The change reverted", "taken back", ran),
    ]
    large = [row for row in found.rows if row["workload"] not in ("stages", "floor")]
    if large:
        lines = [[f"{row['workload']}: {row['measure']}", row["tool"], seconds(row["wall_s"]),
                  f"{seconds(row['lowest_s'])}–{seconds(row['highest_s'])}"] for row in large]
        parts.append(table("Large inputs", ["what", "program", "wall time", "range"], lines))
    if found.left_out:
        lines = [[what, str(where), reason.replace("|", "\\|")] for what, where, reason in found.left_out]
        parts.append(table("Left out", ["what", "from", "why"], lines))
    return parts


def each(found, title, measured, shown, more=()):
    def cell(tool, size):
        row = found.of(tool, measured, size)
        return shown(row) if row else "–"

    return each_value(found, title, cell, more)


def each_value(found, title, cell, more=()):
    names = [*found.tools, *more]
    lines = [[SPOKEN.get(name, name), *(cell(name, size) for size in found.sizes)] for name in names]
    return table(title, ["stages", *(f"{size:,}" for size in found.sizes)], lines)


def seconds(value):
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s" if value >= 1 else f"{1000 * value:.1f} ms"


def number(value, form):
    return "–" if value is None else form.format(value)


def ratio(ours, theirs):
    return ours / theirs if ours is not None and theirs else None


def bars(found):
    """Our own targets, each with its figure."""
    def wall(*what, **where):
        return found.value("wall_s", *what, **where)

    largest = max((size for size in found.sizes if found.own_cpu("ninja", size) is not None), default=0)
    peaks = [found.value("peak_mib", "restage", kind, 10_000) for kind in ("cold", "no-op")]
    lines = [
        bar("no-op of 10,000 stages at most 2x ninja's", "{:.2f}x",
            ratio(wall("restage", "no-op", 10_000), wall("ninja", "no-op", 10_000)), lambda x: x <= 2),
        bar("no-op of 1,000 stages at most 15 ms", "{:.1f} ms",
            scaled(wall("restage", "no-op", 1_000), 1000), lambda x: x <= 15),
        bar("less than 100 MiB for 10,000 stages", "{:.0f} MiB",
            None if None in peaks else max(peaks), lambda x: x < 100),
        bar("own CPU time per stage at most 2x ninja's" + (f" ({largest:,} stages)" if largest else ""), "{:.2f}x",
            ratio(found.own_cpu("restage", largest), found.own_cpu("ninja", largest)) if largest else None,
            lambda x: x <= 2),
        *(bar(f"digest of {what} at 0.95 of b3sum's speed or more", "{:.2f}",
              ratio(wall("b3sum", "first digest", workload=what), wall("restage", "first digest", workload=what)),
              lambda x: x >= 0.95) for what in ("4 GiB file", "60,000 files")),
        bar("plan of 100,000 stages in less than 2 s", "{:.2f} s",
            wall("restage", "plan", workload="100,000 stages"), lambda x: x < 2),
    ]
    return table("Targets", ["target", "figure", "met"], lines)


def scaled(value, factor):
    return None if value is None else value * factor


def bar(text, form, figure, holds):
    if figure is None:
        return [text, "–", "not measured"]
    return [text, form.format(figure), "met" if holds(figure) else "**not met**"]
