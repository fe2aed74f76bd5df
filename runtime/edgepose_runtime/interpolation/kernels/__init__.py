"""The numba kernels of HPIM.

Their NumPy twins are in :mod:`edgepose_runtime.interpolation.hpim`.
"""
