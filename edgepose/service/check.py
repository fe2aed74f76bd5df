"""Checking a configuration without opening cameras, ports or networks."""

from __future__ import annotations

from pathlib import Path

from edgepose.inference.model import bundle_path
from edgepose.people.settings import people_settings
from edgepose.service.config import JsonlConfig, ServiceConfig
from edgepose.service.mqtt import require_mqtt
from edgepose.service.outputs import preview_settings
from edgepose_runtime.errors import ConfigError


def check_config(config: ServiceConfig) -> None:
    """Look for what would keep a service from starting.

    Raises:
        ConfigError: a value cannot be used, or a folder cannot be made.
        BundleError: there is no such model.
        BackendUnavailableError: a package is missing.
    """
    people_settings(config.max_people)
    bundle_path(config.model)
    if config.preview is not None:
        preview_settings(config.preview)
    if config.jsonl is not None:
        _check_folder(config.jsonl)
    if config.mqtt is not None:
        require_mqtt()


def _check_folder(config: JsonlConfig) -> None:
    folder = Path(config.folder)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ConfigError(f"The folder '{folder}' of [jsonl] cannot be made: '{there}' is a file.")
