"""Dynamic Kernel Distillation: network, distillator, discriminator and configurations."""
