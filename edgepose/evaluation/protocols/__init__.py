"""Evaluation protocols: what a model is shown and told, frame by frame, while it is measured."""
