"""Offline tools: checkpoint import, ONNX export and quantisation.

Import what is needed from the modules; they load torch and onnx, and this package does not.
"""

__all__: list[str] = []
