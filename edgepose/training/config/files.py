"""Files of weights that recipes name."""

from __future__ import annotations

from pathlib import Path

from edgepose.training.config.loader import recipe_names
from edgepose_runtime.errors import CheckpointError


def find_weights(name: str, root: Path) -> Path:
    """Return where a file lies that a recipe names, in the working directory or in `root`.

    Raises:
        CheckpointError: in neither; where another recipe makes it, the error says which.
    """
    for path in (Path(name), root / name):
        if path.is_file():
            return path
    # Runs of shipped recipes are named after them, with a dash for the folder.
    makers = {f"runs/{recipe.replace('/', '-')}/checkpoint.pt": recipe for recipe in recipe_names()}
    maker = makers.get(Path(name).as_posix())
    raise CheckpointError(
        f"The weights to start from, {name}, are neither in the working directory nor in '{root}'"
        + (
            f"; make them with: edgepose train {maker}"
            if maker
            else "; name another file with --set start.PART=FILE, or get them as the recipe says."
        )
    )
