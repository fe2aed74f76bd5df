"""Which of several processes this is: the environment variables that ``torchrun`` sets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from edgepose_runtime.errors import ConfigError

_NEEDED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Launch:
    """How this process was started.

    Attributes:
        rank: number of the process, from 0.
        count: processes on all machines.
        local_rank: number of the process on its machine, from 0.
        local_count: processes on this machine.
        is_distributed: whether a process group is to be joined, even one of a single process.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    is_distributed: bool = False

    @property
    def is_main(self) -> bool:
        """Whether this process reports, and writes the checkpoint and the log."""
        return self.rank == 0


def find_launch(environ: Mapping[str, str] = os.environ) -> Launch:
    """Return how this process was started; one alone where ``torchrun`` did not start it.

    Raises:
        ConfigError: the variables are not numbers of a process group.
    """
    if not all(environ.get(name) for name in _NEEDED):
        return Launch()
    on_machine = "LOCAL_WORLD_SIZE" if "LOCAL_WORLD_SIZE" in environ else "WORLD_SIZE"
    launch = Launch(
        rank=_number(environ, "RANK"),
        count=_number(environ, "WORLD_SIZE"),
        local_rank=_number(environ, "LOCAL_RANK"),
        local_count=_number(environ, on_machine),
        is_distributed=True,
    )
    if not 0 <= launch.rank < launch.count:
        raise ConfigError(
            f"The environment says RANK={launch.rank} and WORLD_SIZE={launch.count}; ranks count "
            "from 0. Start the processes with torchrun, which sets both."
        )
    return launch


def _number(environ: Mapping[str, str], name: str) -> int:
    try:
        return int(environ[name])
    except ValueError as error:
        raise ConfigError(
            f"The environment variable {name} must be a whole number, as torchrun sets it; "
            f"it is {environ[name]!r}."
        ) from error
