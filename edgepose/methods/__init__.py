"""Temporal methods: how the pose of one frame follows from those before it."""

from edgepose.methods.base import Estimate, Method, MethodSpec, PropagatingMethod
from edgepose.methods.building import build_method
from edgepose.methods.distillation import DistillationMethod
from edgepose.methods.framewise import FramewiseMethod
from edgepose.methods.propagation import PropagationMethod

__all__ = [
    "DistillationMethod",
    "Estimate",
    "FramewiseMethod",
    "Method",
    "MethodSpec",
    "PropagatingMethod",
    "PropagationMethod",
    "build_method",
]
