"""Compares models on the points that they were not fitted to."""
import argparse
import csv
from pathlib import Path

import numpy

parser = argparse.ArgumentParser()
parser.add_argument("--points")
parser.add_argument("--out")
parser.add_argument("models", nargs="+")
args = parser.parse_args()

with open(args.points) as file:
    rows = list(csv.DictReader(file))
with open(args.out, "w") as out:
    out.write("model,train,test\n")
    for path in args.models:
        with open(path) as file:
            model = [float(row["coefficient"]) for row in csv.DictReader(file)]
        errors = []
        for part in ["train", "test"]:
            x = numpy.array([float(row["x"]) for row in rows if row["part"] == part])
            y = numpy.array([float(row["y"]) for row in rows if row["part"] == part])
            fitted = numpy.polynomial.polynomial.polyval(x, model)
            errors.append(numpy.sqrt(numpy.mean((fitted - y) ** 2)))
        out.write(f"{Path(path).stem},{errors[0]:.4f},{errors[1]:.4f}\n")
