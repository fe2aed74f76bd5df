"""The commands ``edgepose convert`` and ``edgepose serve``, and what they print.

They are registered as entry points of the group ``edgepose.commands``.
"""
