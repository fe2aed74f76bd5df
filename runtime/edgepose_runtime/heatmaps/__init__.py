"""Decoding heat-maps to joints and carrying them between regions."""
