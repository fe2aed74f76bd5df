"""Temporal methods: how the pose of one frame follows from those before it."""

from edgepose.methods.base import CarryingMethod, Estimate, Method, MethodSpec
from edgepose.methods.building import build_method
from edgepose.methods.distillation import DistillationMethod
from edgepose.methods.framewise import FramewiseMethod
from edgepose.methods.propagation import PropagationMethod

__all__ = [
    "CarryingMethod",
    "DistillationMethod",
    "Estimate",
    "FramewiseMethod",
    "Method",
    "MethodSpec",
    "PropagationMethod",
    "build_method",
]
