"""Published and trained checkpoints, read into networks of ours with the fate of every weight."""
