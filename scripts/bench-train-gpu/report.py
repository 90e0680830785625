"""Writes what was measured: a CSV table and the generated part of the page about speed."""

import page
from page import table

COLUMNS = [
    "network", "batch", "precision", "against", "engine", "setting", "adam", "images_per_second", "lowest",
    "highest", "rounds", "ratio", "ratio_lowest", "ratio_highest", "tflops", "share_of_peak", "epoch_seconds",
    "prepare_seconds",
]
# Targets at batches of 64, for each network and precision.
BARS = [("eager", 1.5), ("compile", 1.0)]
NAMES = {"eager": "eager PyTorch", "compile": "compiled PyTorch"}


def write_page(path, lines, rows, left_out, networks, precisions):
    parts = [page.facts_list(lines), bars(rows, networks, precisions)]
    parts += [speeds(rows, batch) for batch in dict.fromkeys(row["batch"] for row in rows)]
    if left_out:
        parts.append(table("Left out", ["what", "why"], [[what, plain(why)] for what, why in left_out]))
    page.replace(path, "bench-train-gpu", parts)


def plain(text):
    return text.replace("|", "/").replace("\n", " ")


def best(rows, network, batch, precision, mode):
    """PyTorch's fastest setting in a mode, or nothing."""
    found = [row for row in rows if row["engine"] == "pytorch" and row["network"] == network
             and (row["batch"], row["precision"], row["against"]) == (batch, precision, mode)]
    return max(found, key=lambda row: row["images_per_second"], default=None)


def bars(rows, networks, precisions):
    lines = []
    for mode, bar in BARS:
        for precision in precisions:
            found = {network: best(rows, network, 64, precision, mode) for network in networks}
            ratios = {network: row["ratio"] for network, row in found.items() if row}
            missing = [network for network, row in found.items() if not row]
            lowest = min(ratios, key=ratios.get, default=None)
            if lowest and ratios[lowest] < bar:
                verdict = "**not met**"
            else:
                verdict = f"not measured: {', '.join(missing)}" if missing else "met"
            figure = f"{ratios[lowest]:.3f} ({lowest})" if lowest else "–"
            lines.append([f"{precision}: at least {bar:.1f}x {NAMES[mode]}", figure, verdict])
    return table("Targets, batches of 64", ["target", "lowest", "met"], lines)


def speeds(rows, batch):
    header = ["network", "precision", "ours, images/s", "eager, images/s", "its setting", "ours / eager",
              "compiled, images/s", "ours / compiled", "ours, TFLOP/s", "of matrix peak", "45,000 images, s"]
    lines = []
    cells = dict.fromkeys((row["network"], row["precision"]) for row in rows if row["batch"] == batch)
    for network, precision in cells:
        ours = next(row for row in rows if row["engine"] == "ours" and row["batch"] == batch
                    and (row["network"], row["precision"]) == (network, precision))
        eager, compiled = (best(rows, network, batch, precision, mode) for mode in ("eager", "compile"))
        share = ours["share_of_peak"]
        lines.append([
            network, precision, f"{ours['images_per_second']:.0f}", speed(eager), setting(eager), ratio(eager),
            speed(compiled), ratio(compiled), f"{ours['tflops']:.1f}", f"{100 * share:.0f}%" if share else "–",
            f"{ours['epoch_seconds']:.2f}",
        ])
    return table(f"Training step, batches of {batch}", header, lines)


def speed(row):
    return f"{row['images_per_second']:.0f}" if row else "–"


def setting(row):
    return f"{row['setting'].split()[1]}, {row['adam']}" if row else "–"


def ratio(row):
    return f"**{row['ratio']:.2f}** ({row['ratio_lowest']:.2f}–{row['ratio_highest']:.2f})" if row else "–"
