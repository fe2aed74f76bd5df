"""Training by several processes, as ``torchrun`` starts them: each has a part of every batch."""
