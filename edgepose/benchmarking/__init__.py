"""Speed and accuracy of models and of their peers, in one run: ``edgepose benchmark``."""
