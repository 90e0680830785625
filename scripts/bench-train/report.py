"""Writes what was measured: two CSV tables and the generated part of the page about speed."""

from collections import defaultdict

import page
from page import table, write_csv

COLUMNS = [
    "variant", "measure", "engine", "setting", "threads", "images_per_second", "lowest", "highest",
    "chunks", "images", "ratio", "ratio_lowest", "ratio_highest", "gflops", "share_of_peak", "peak_mib",
    "foreign_cpus",
]
LAYER_COLUMNS = ["variant", "layer", "pass", "ms_per_step", "share", "gflops", "share_of_peak"]
PASSES = ["forward", "input gradient", "weight gradient"]
ORDER = [*PASSES, "batch norm forward", "batch norm backward", "pool", "dense", "adam", "other", "unmeasured"]
# If other processes used more CPUs than this, the line says so.
BUSY = 0.1


def write_page(path, facts, rows, layers):
    page.replace(path, "bench-train", [page.facts_list(facts["lines"]), *tables(facts, rows, layers)])


def tables(facts, rows, layers):
    found = [training(rows, facts["peak"]), single(rows), passes(layers, facts["peak"])]
    epochs = [row for row in rows if row["measure"] == "epoch"]
    if epochs:
        found.append(epoch_table(epochs))
    return found


def of(rows, variant, measure, engine=None):
    """The fastest row of a kind, or nothing."""
    found = [r for r in rows if r["variant"] == variant and r["measure"] == measure and engine in (None, r["engine"])]
    return max(found, key=lambda row: row["images_per_second"], default=None)


def variants(rows):
    return list(dict.fromkeys(row["variant"] for row in rows))


def percent(part, whole):
    return f"{100 * part / whole:.0f}%" if part is not None and whole else "–"


def training(rows, peak):
    header = ["network", "ours, images/s", "PyTorch, images/s", "its setting", "ours / PyTorch", "Keras, images/s",
              "ours, GFLOP/s", "of FMA peak", "ours, MiB", "PyTorch, MiB", "Keras, MiB", "machine"]
    lines = []
    for variant in variants(rows):
        ours, torch, keras = (of(rows, variant, "train", who) for who in ("ours", "pytorch", "keras"))
        busy = max(row["foreign_cpus"] for row in (ours, torch, keras) if row)
        ratio = f"**{torch['ratio']:.2f}** ({torch['ratio_lowest']:.2f}–{torch['ratio_highest']:.2f})"
        lines.append([
            variant, f"{ours['images_per_second']:.0f}", f"{torch['images_per_second']:.0f}", torch["setting"], ratio,
            f"{keras['images_per_second']:.0f} ({keras['setting']})" if keras else "–",
            f"{ours['gflops']:.0f}", percent(ours["gflops"], peak),
            f"{ours['peak_mib']:.0f}", f"{torch['peak_mib']:.0f}", f"{keras['peak_mib']:.0f}" if keras else "–",
            f"busy: {busy:.2f} CPUs" if busy > BUSY else "quiet",
        ])
    return table("Training step", header, lines)


def single(rows):
    header = ["network", "one thread, images/s", "all threads / one", "evaluation, images/s"]
    lines = []
    for variant in variants(rows):
        one, evaluate = of(rows, variant, "one thread"), of(rows, variant, "evaluate")
        lines.append([variant, f"{one['images_per_second']:.0f}", f"{one['ratio']:.2f}",
                      f"{evaluate['images_per_second']:.0f}"])
    return table("Our engine alone", header, lines)


def epoch_table(rows):
    header = ["network", "images", "seconds", "images/s"]
    lines = [[row["variant"], str(row["images"]), f"{row['images'] / row['images_per_second']:.2f}",
              f"{row['images_per_second']:.0f}"] for row in rows]
    return table("An epoch's time is proportional to its images", header, lines)


def passes(layers, peak):
    """Each kind of pass: its share of the step, and for convolutions their share of the peak."""
    found = set(row["pass"] for row in layers)
    kinds = [kind for kind in ORDER if kind in found] + sorted(found.difference(ORDER))
    header = ["network", *(f"convolutions, {kind}" if kind in PASSES else kind for kind in kinds)]
    lines = []
    for variant in variants(layers):
        share, work, time = defaultdict(float), defaultdict(float), defaultdict(float)
        for row in (row for row in layers if row["variant"] == variant):
            share[row["pass"]] += row["share"]
            if row["gflops"] is not None:
                work[row["pass"]] += row["gflops"] * row["ms_per_step"]
                time[row["pass"]] += row["ms_per_step"]
        line = [variant]
        for kind in kinds:
            speed = f" (at {percent(work[kind] / time[kind], peak)})" if time[kind] else ""
            line.append(f"{100 * share[kind]:.1f}%{speed}")
        lines.append(line)
    return table("Where our step's time goes (convolutions: at which share of the FMA peak)", header, lines)
