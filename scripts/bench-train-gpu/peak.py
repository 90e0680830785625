"""Prints the TFLOP/s of PyTorch's matrix products of N x N numbers as JSON: `peak.py N DEVICE`.

The best of several products at each precision counts.
"""

import json
import sys
import time

import torch

PRODUCTS, TRIES = 4, 6


def main():
    n, device = int(sys.argv[1]), sys.argv[2]

    def synchronize():
        if device != "cpu":
            torch.cuda.synchronize()

    found = {}
    for precision in ("f32", "tf32", "bf16"):
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        a, b = (torch.randn(n, n, dtype=kind, device=device) for _ in range(2))
        out = torch.empty(n, n, dtype=kind, device=device)
        times = []
        for _ in range(TRIES):
            synchronize()
            start = time.perf_counter()
            for _ in range(PRODUCTS):
                torch.matmul(a, b, out=out)
            synchronize()
            times.append((time.perf_counter() - start) / PRODUCTS)
        found[precision] = 2 * n**3 / min(times) * 1e-12
    print(json.dumps(found))


main()
