"""edgepose on ARM processors that QEMU emulates, compared with this machine."""
