"""What viewers of the preview cost."""
