"""The subcommands of ``edgepose``, one module each.

A module has ``add_parser(subparsers)`` and ``run(args)``.
"""
