"""Training samples: crops, augmentation, targets and batches."""
