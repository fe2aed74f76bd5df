"""Real data: readers, skeletons, crops, augmentation and validation of what is read."""
