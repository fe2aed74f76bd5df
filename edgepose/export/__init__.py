"""Poses in the formats of other tools: COCO, OpenPose, DeepLabCut, MOTChallenge."""
