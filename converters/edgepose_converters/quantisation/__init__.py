"""From a float bundle to one whose graphs compute in int8.

Import what is needed from the modules; they load onnx and nncf, and this package does not.
"""

__all__: list[str] = []
