"""What runs on the device: backends, bundles, crops, heat-map decoding and capture."""
