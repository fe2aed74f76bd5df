"""Everything that runs on the device: backends, bundles, crops, heat-map decoding, capture.

This package imports neither torch nor ``edgepose``, and importing it loads neither OpenCV, numba
nor a backend: those come in with the first call that needs them.
"""
