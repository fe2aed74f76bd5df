"""What ``edgepose convert --to selector`` does."""

from __future__ import annotations

import argparse
import sys

from edgepose.inference.model import bundle_path
from edgepose_converters.checkpoints.importing import check_weights_target
from edgepose_converters.export.selectors import write_selector


def run(args: argparse.Namespace) -> int:
    """Write the ONNX file of a selector; return the exit code."""
    check_weights_target(args.out, overwrite=args.overwrite)
    write_selector(args.source, bundle_path(args.model), args.out)
    size = args.out.stat().st_size / 1e3
    sys.stdout.write(f"Wrote the selector {args.out}: {size:.0f} kB.\n")
    return 0
