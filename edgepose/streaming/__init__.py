"""Queues, threads and callbacks around tracking: flow control, scheduling, shutdown.

Tracking itself is in :mod:`edgepose.tracking`, which knows nothing of threads.
"""
