"""Draws points of a cubic with noise: a column for training or testing, x and y."""
import argparse

import numpy

parser = argparse.ArgumentParser()
parser.add_argument("--points", type=int)
parser.add_argument("--noise", type=float)
parser.add_argument("--seed", type=int)
parser.add_argument("--out")
args = parser.parse_args()

random = numpy.random.default_rng(args.seed)
x = random.uniform(-1, 1, args.points)
y = 2 * x**3 - x + random.normal(0, args.noise, args.points)
with open(args.out, "w") as out:
    out.write("part,x,y\n")
    for i in range(args.points):
        out.write(f"{'test' if i % 4 == 0 else 'train'},{x[i]:.6f},{y[i]:.6f}\n")
