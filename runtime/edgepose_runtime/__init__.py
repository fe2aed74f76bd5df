"""Everything that runs on the device: backends, bundles, crops, heat-map decoding, capture.

This package imports neither torch nor ``edgepose``, and importing it loads neither OpenCV, numba
nor a backend: those come in with the first call that needs them.
"""

import os

#: Pixels of an image that OpenCV decodes, at most; it reads that when it is loaded. A file of some
#: bytes may declare a billion, and 268 million take 768 MiB.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))
