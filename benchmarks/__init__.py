"""Accuracy and speed of edgepose and of its peers: same clips, same boxes, same machine."""
