"""Finding a person whom nobody follows: in regions by the light network, by motion, by a detector.

:class:`~edgepose.tracking.search.person_search.PersonSearch` decides what a frame is worth.
"""
