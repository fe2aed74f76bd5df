"""Training one propagation unit on recorded heat-maps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from benchmarks.ppu.candidates import Candidate
from benchmarks.ppu.recording import Windows
from edgepose.models import PPN
from edgepose.training.config.settings import Phase, TrainConfig
from edgepose.training.ema import WeightAverage
from edgepose.training.optimiser import build_optimiser, schedule, set_learning_rate
from edgepose.training.tasks.stages import SequenceTask

EVERY = 50
Report = Callable[[str], None]


def train(candidate: Candidate, recipe: TrainConfig, windows: Windows, report: Report) -> nn.Module:
    """Train a unit as the recipe says, but for the number of steps; float32.

    Args:
        candidate: its form, and how long.
        recipe: of the propagation.
        windows: what to learn from.
        report: is told of the progress.

    Returns:
        The unit with its averaged weights.
    """
    torch.manual_seed(recipe.seed)
    phase = Phase(candidate.steps, recipe.phases[-1].size, candidate.batch)
    config = replace(recipe, phases=(phase,))
    ppu = candidate.build()
    task = SequenceTask(config, PPN(None, nn.Identity(), ppu))
    optimiser = build_optimiser(ppu, config.optimiser)
    average = WeightAverage(ppu, config.optimiser.ema)
    ppu.train()
    losses, start = [], time.monotonic()
    for step in range(candidate.steps):
        set_learning_rate(optimiser, schedule(config, step))
        torch.manual_seed(config.seed + step)  # for the faults that are put into the maps
        rng = np.random.default_rng([config.seed, step])
        batch = windows.draw(rng, candidate.batch, candidate.length)
        loss = task.propagation_loss(batch, batch["maps"])["loss"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(ppu.parameters(), config.optimiser.clip)
        optimiser.step()
        average.update(ppu)
        losses.append(float(loss.detach()))
        if (step + 1) % EVERY == 0:
            seconds = (time.monotonic() - start) / (step + 1)
            mean = np.mean(losses[-EVERY:])
            report(f"{candidate.name}: step {step + 1}, loss {mean:.5f}, {seconds:.2f} s a step")
    ppu.load_state_dict(average.values)
    return ppu.eval()
