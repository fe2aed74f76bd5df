"""Dynamic Kernel Distillation: network, distillator, discriminator and configurations.

Equations: docs/background/dkd.md.
"""
