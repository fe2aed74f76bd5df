"""The numba kernels of HPIM; their NumPy twins are in :mod:`edgepose_runtime.interpolation.hpim`.

``hpim`` does a whole interpolation, ``posterior`` solves for all frames given the key poses, by the
Cholesky factors of ``cholesky``; ``likelihoods`` weighs the kinds of movement, and ``moments`` adds
up mean and variance.
"""
