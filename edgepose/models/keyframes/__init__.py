"""Networks of key frames: DYAN, K-FPN, online selection and the motion dictionary.

Equations: docs/background/key-frames.md.
"""
