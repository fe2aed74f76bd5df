"""Annotated people to train on and to evaluate with.

Readers turn each set, as its authors publish it, into records: stills (`records.PersonImage`) and
clips for training (`records.PersonClip`), and clips for evaluation (`clips.Clip`). `sampling` and
`batches` turn records into augmented batches.
"""

from edgepose.datasets.root import data_root

__all__ = ["data_root"]
