"""Checks that the settings of recipes have in common."""

from __future__ import annotations

from edgepose_runtime.errors import ConfigError


def require_one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a name that is not a known one.

    Args:
        what: says what is named.
        value: the name.
        known: the names there are.

    Raises:
        ConfigError: it is none of them.
    """
    if value not in known:
        raise ConfigError(f"The {what} {value!r} is not known; choose one of {', '.join(known)}.")


def require_at_least(least: float, settings: object, *names: str) -> None:
    """Refuse options that are too small, or NaN.

    Args:
        least: the smallest value there may be.
        settings: has the options.
        names: of the options.

    Raises:
        ConfigError: one is smaller.
    """
    for name in names:
        value = getattr(settings, name)
        if not value >= least:
            raise ConfigError(f"The option {name!r} must be at least {least:g}; got {value}.")
