"""Kernels of a plain tracker that were compiled ahead, so that it needs neither numba nor LLVM.

The library is made by ``python -m edgepose_converters.kernels`` of the same sources as elsewhere.
"""
