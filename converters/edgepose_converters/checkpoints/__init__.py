"""Networks out of files of others or of earlier releases: as starts of training and as heads.

Each module reads one form and says what became of every weight.
"""
