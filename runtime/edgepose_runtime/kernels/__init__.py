"""The loops over pixels and heat-map cells that numba compiles.

Importing a module of this package imports numba, which takes a third of a second: the functions
that use a kernel import it when they are called. Each kernel has a NumPy twin beside its caller,
which says the same in the plainest way, and which the tests compare it with.
"""
