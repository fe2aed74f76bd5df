"""From a torch network to ONNX graphs in a bundle, and the proof that runtimes agree on them."""
