"""From a bundle to a pose in a region: loaded models, estimators, batching, compile cache.

Nothing here knows about streams, tracks or threads that users see.
"""
