"""What a training step computes: one task per method, with losses and perturbations."""
