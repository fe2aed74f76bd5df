"""What ``edgepose track`` is made of: outputs, the window, key frames."""
