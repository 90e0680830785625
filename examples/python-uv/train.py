"""Fits a polynomial to the training points by least squares."""
import argparse
import csv

import numpy

parser = argparse.ArgumentParser()
parser.add_argument("--degree", type=int)
parser.add_argument("--points")
parser.add_argument("--out")
args = parser.parse_args()

with open(args.points) as file:
    rows = [row for row in csv.DictReader(file) if row["part"] == "train"]
x = numpy.array([float(row["x"]) for row in rows])
y = numpy.array([float(row["y"]) for row in rows])
coefficients = numpy.polynomial.polynomial.polyfit(x, y, args.degree)
with open(args.out, "w") as out:
    out.write("power,coefficient\n")
    for power, coefficient in enumerate(coefficients):
        out.write(f"{power},{coefficient:.6f}\n")
