"""Bundles on Triton: a model repository for its containers, and a server without one.

Nothing here needs torch or onnx.
"""
