"""PosePropagationNet: body, propagation units and configurations.

Equations: docs/background/ppn.md.
"""
