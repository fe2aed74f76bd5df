"""Lets ``python -m edgepose`` do what ``edgepose`` does."""

import sys

from edgepose.cli.main import main

sys.exit(main())
