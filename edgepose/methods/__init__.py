"""Temporal methods: how the pose of one frame follows from those before it."""

from edgepose.methods.base import Estimate, Method, MethodSpec
from edgepose.methods.building import build_method

__all__ = ["Estimate", "Method", "MethodSpec", "build_method"]
