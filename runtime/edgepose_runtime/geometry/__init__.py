"""Regions of interest and crops: coordinates, the crop kernel and its NumPy twin."""
