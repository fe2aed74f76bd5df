"""Kernels compiled ahead: makes the library that `edgepose_runtime.native` loads."""
