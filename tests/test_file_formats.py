"""What sinks and bundles contain is what the JSON Schema files of the documentation say."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import edgepose
from edgepose.results import Origin, PersonState
from edgepose_runtime.bundles.manifest import METHOD_GRAPHS
from tests.edgepose.pose_files.conftest import streams, write

jsonschema = pytest.importorskip("jsonschema", reason='needs jsonschema: pip install -e ".[dev]"')

PROJECT = Path(__file__).resolve().parent.parent
SCHEMAS = PROJECT / "docs" / "schemas"
BUNDLES = sorted(PROJECT.glob("edgepose/bundles/*/manifest.json"))


def schema(name: str) -> dict:
    return json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))


def validator(name: str):
    return jsonschema.Draft202012Validator(schema(name))


def assert_valid_lines(path: Path, version: int) -> None:
    check = validator(f"poses-v{version}")
    header, *frames = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert frames
    check.validate(header)
    assert header["version"] == version
    for line in frames:
        check.validate(line)


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_schemas_are_valid_and_in_the_documentation(path):
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))
    page = (PROJECT / "docs" / "reference" / "file-formats.md").read_text(encoding="utf-8")
    assert f"(../schemas/{path.name})" in page


@pytest.mark.parametrize("version", [1, 2])
def test_results_of_a_shipped_model_follow_the_schema(version, sample_clip, tmp_path):
    path, several = tmp_path / "poses.jsonl", version == 2
    with edgepose.PoseTracker("ppn-swift", max_people=4 if several else 1) as tracker:
        results = list(itertools.islice(tracker.stream(sample_clip), 4))
        results.append(tracker.track(np.zeros((240, 320, 3), np.uint8)))
    options = {"skeleton": tracker.skeleton, "model": "ppn-swift", "source": str(sample_clip)}
    with edgepose.sinks.JsonlSink(
        path, several=several, engine={"device": "cpu"}, **options
    ) as sink:
        for result in results:
            sink.write(result)
    assert_valid_lines(path, version)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=streams())
def test_any_results_follow_the_schema(results, tmp_path):
    for version in (1, 2):
        path = tmp_path / f"v{version}.jsonl"
        write(path, results, several=version == 2)
        assert_valid_lines(path, version)


def test_the_schemas_have_all_words_that_results_use():
    origins, states = ({str(each) for each in words} for words in (Origin, PersonState))
    for version in (1, 2):
        assert set(schema(f"poses-v{version}")["$defs"]["origin"]["enum"]) == origins
    person = schema("poses-v2")["$defs"]["person"]["properties"]
    assert set(person["state"]["enum"]) == states
    assert set(schema("bundle-manifest")["properties"]["method"]["enum"]) == set(METHOD_GRAPHS)


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.parent.name)
def test_manifests_of_shipped_bundles_follow_the_schema(path):
    validator("bundle-manifest").validate(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("poses-v1", {"frame": 0}),
        ("poses-v2", {"frame": 0, "timestamp_ms": 0.0, "people": [], "latency_ms": {"total": 1}}),
        ("poses-v2", {"format": "edgepose.poses", "version": 1}),
        ("bundle-manifest", {"format": "edgepose.bundle", "version": 1}),
    ],
)
def test_what_lacks_members_does_not_follow_the_schema(name, line):
    assert not validator(name).is_valid(line)
