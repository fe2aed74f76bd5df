"""Training in stages: single images, then sequences. Needs ``pip install "edgepose[train]"``."""
