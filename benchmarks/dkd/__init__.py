"""Dynamic Kernel Distillation: start weights of the published form, and pictures of kernels."""
