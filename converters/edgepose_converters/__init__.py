"""Offline tools: checkpoint import, ONNX export and quantisation."""
