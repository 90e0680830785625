"""Trains a small network on two spirals, with a checkpoint after each epoch."""

import argparse
import json
import math
import os
import sys

import torch
from torch import nn

POINTS, BATCH = 600, 50


def spirals(generator):
    """Points of two spirals, a little noise on each, and which spiral each is of."""
    label = torch.arange(POINTS) % 2
    along = torch.rand(POINTS, generator=generator) * 0.9 + 0.1
    angle = along * 1.5 * math.pi + label * math.pi
    points = torch.stack([along * angle.cos(), along * angle.sin()], dim=1)
    return points + 0.02 * torch.randn(POINTS, 2, generator=generator), label


def save(state, path):
    """Whoever is killed meanwhile leaves the last file whole."""
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--metrics", required=True)
    arguments.add_argument("--weights", required=True)
    paths = arguments.parse_args()
    with open(os.environ["RESTAGE_PARAMS_FILE"]) as file:
        params = json.load(file)

    torch.use_deterministic_algorithms(True)
    torch.manual_seed(params["seed"])
    generator = torch.Generator().manual_seed(params["seed"])
    points, label = spirals(generator)
    train, test = slice(0, POINTS * 4 // 5), slice(POINTS * 4 // 5, None)
    hidden = params["hidden"]
    model = nn.Sequential(
        nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 2)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=params["learning_rate"])
    history = []

    checkpoint = os.path.join(os.environ["RESTAGE_SCRATCH"], "checkpoint.pt")
    resumed = os.path.exists(checkpoint)
    if resumed:
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        history = state["history"]
        print(f"resumed after epoch {len(history)}")

    for epoch in range(len(history) + 1, params["epochs"] + 1):
        order = torch.randperm(POINTS * 4 // 5, generator=generator)
        total = 0.0
        for batch in order.split(BATCH):
            loss = nn.functional.cross_entropy(model(points[train][batch]), label[train][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        history.append({"epoch": epoch, "loss": total / len(order)})
        save(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "generator": generator.get_state(),
                "history": history,
            },
            checkpoint,
        )
        if epoch == params["interrupt_after"] and not resumed:
            sys.exit(f"interrupted after epoch {epoch}")

    with torch.no_grad():
        right = (model(points[test]).argmax(dim=1) == label[test]).double().mean().item()
    os.makedirs(os.path.dirname(paths.metrics), exist_ok=True)
    os.makedirs(os.path.dirname(paths.weights), exist_ok=True)
    with open(paths.metrics, "w") as file:
        json.dump({"accuracy": right, "history": history}, file, indent=1)
    torch.save(model.state_dict(), paths.weights)


if __name__ == "__main__":
    main()
