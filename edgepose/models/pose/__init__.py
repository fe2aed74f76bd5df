"""Networks that turn an image into the places of joints: a backbone and what stands behind it."""
