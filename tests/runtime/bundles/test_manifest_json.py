import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime.bundles.manifest import (
    DetectorSpec,
    GraphSpec,
    HeatmapSpec,
    InputSpec,
    Manifest,
    Normalisation,
)
from edgepose_runtime.bundles.manifest_json import dump_manifest, parse_manifest
from edgepose_runtime.errors import BundleFormatError, BundleVersionError
from edgepose_runtime.poses.skeletons import get_skeleton
from edgepose_runtime.tensors import TensorSpec

HASH = "0123456789abcdef" * 4
IMAGE = TensorSpec("image", "uint8", ("N", 256, 256, 3))
HEATMAPS = TensorSpec("heatmaps", "float32", ("N", 13, 64, 64))


def framewise(**changes) -> Manifest:
    options = {
        "name": "plain",
        "method": "framewise",
        "skeleton": "penn13",
        "input": InputSpec(256),
        "normalisation": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "heatmap": HeatmapSpec(64, 4.0, 1.5),
        "graphs": {"body": GraphSpec("body.onnx", (IMAGE,), (HEATMAPS,), HASH, 9)},
    }
    return Manifest(**{**options, **changes})


def edited(path: str, edit) -> str:
    """The text of a valid manifest after ``edit(place, key)`` of the member at a path."""
    content = json.loads(dump_manifest(framewise()))
    *parents, last = path.split("/")
    place = content
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    edit(place, last)
    return json.dumps(content)


def changed(path: str, value: object) -> str:
    return edited(path, lambda place, key: place.__setitem__(key, value))


numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(min_size=1, max_size=20)
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
cards = st.dictionaries(
    texts, st.none() | st.booleans() | numbers | texts | st.lists(numbers, max_size=3), max_size=4
)
extra_tensors = st.lists(
    st.builds(
        TensorSpec,
        names.map("extra-{}".format),
        st.sampled_from(["float32", "uint8", "int64"]),
        st.lists(st.integers(1, 512) | texts, max_size=5).map(tuple),
    ),
    max_size=3,
    unique_by=lambda tensor: tensor.name,
).map(tuple)


@st.composite
def manifests(draw) -> Manifest:
    cells, stride = draw(st.integers(1, 256)), draw(st.integers(1, 16))
    size = cells * stride
    skeleton = draw(st.sampled_from(["penn13", "jhmdb15", "mpii16", "coco17"]))
    image = TensorSpec("image", "uint8", ("N", size, size, 3))
    heatmaps = TensorSpec(
        "heatmaps", "float32", ("N", get_skeleton(skeleton).num_joints, cells, cells)
    )
    inputs = (image, replace(heatmaps, name="previous"))
    outputs = (heatmaps, replace(heatmaps, name="preliminary"), *draw(extra_tensors))
    hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
    sizes = st.integers(1, 10**9)
    triples = st.tuples(numbers, numbers, numbers)
    return Manifest(
        name=draw(names),
        method="propagation",
        skeleton=skeleton,
        input=InputSpec(size),
        normalisation=Normalisation(draw(triples), draw(triples)),
        heatmap=HeatmapSpec(cells, float(stride), draw(numbers)),
        graphs={
            "head": GraphSpec("head.onnx", (image,), (heatmaps,), draw(hashes), draw(sizes)),
            "step": GraphSpec("step.onnx", inputs, outputs, draw(hashes), draw(sizes)),
        },
        precision=draw(texts),
        weights=draw(st.sampled_from(["float16", "float32"])),
        score_threshold=draw(st.floats(0, 1)),
        reinitialise_every=draw(st.none() | st.integers(1, 1000)),
        head_is_final=draw(st.booleans()),
        training=draw(cards),
        accuracy=draw(cards),
        latency=draw(cards),
        licence=draw(cards),
    )


@given(manifests())
def test_a_manifest_survives_its_text(manifest):
    assert parse_manifest(dump_manifest(manifest)) == manifest


@given(
    st.text(max_size=50) | st.builds(lambda n: dump_manifest(framewise())[:n], st.integers(0, 9))
)
def test_text_that_is_no_manifest_is_refused(text):
    with pytest.raises(BundleFormatError):
        parse_manifest(text)


@given(st.data())
def test_a_manifest_cut_off_anywhere_is_refused(data):
    text = dump_manifest(framewise()).strip()
    with pytest.raises(BundleFormatError, match="not valid JSON"):
        parse_manifest(text[: data.draw(st.integers(0, len(text) - 1))])


def test_the_first_members_are_format_and_version():
    assert list(json.loads(dump_manifest(framewise())))[:2] == ["format", "version"]


@pytest.mark.parametrize("version", [0, 2, 17])
def test_another_version_is_refused_by_its_number(version):
    with pytest.raises(BundleVersionError, match=rf"format version {version}, .* reads version 1"):
        parse_manifest(changed("version", version))


def test_another_version_may_have_other_members():
    text = json.dumps({"format": "edgepose.bundle", "version": 2, "networks": []})
    with pytest.raises(BundleVersionError):
        parse_manifest(text)


@pytest.mark.parametrize(
    "path",
    [
        *json.loads(dump_manifest(framewise())),
        "input/size",
        "heatmap/stride",
        "graphs/body/sha256",
        "normalisation/mean",
    ],
)
def test_a_missing_member_is_named(path):
    text = edited(path, lambda place, key: place.__delitem__(key))
    with pytest.raises(BundleFormatError, match=f"lacks the member '{path.split('/')[-1]}'"):
        parse_manifest(text)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("format", "zip", "'format' in the manifest must be one of edgepose.bundle, but is 'zip'"),
        ("name", 3, "'name' in the manifest must be a text, but is 3"),
        ("name", "../up", "plain name"),
        ("method", "magic", "one of propagation, flow-propagation, distillation"),
        ("method", "propagation", "needs the graph 'head', but the manifest has only body"),
        ("skeleton", "octopus", "unknown skeleton"),
        ("input", [256], "'input' in the manifest must be an object"),
        ("input/size", "256", "'size' in 'input' in the manifest must be a whole number from 1 up"),
        ("input/size", True, "must be a whole number"),
        ("input/size", 0, "must be a whole number from 1 up"),
        ("input/color", "rgb", "one of bgr"),
        ("normalisation/mean", [0.5, 0.5], "a list of 3 finite numbers"),
        ("normalisation/folded", False, "normalise pixels themselves"),
        ("normalisation/folded", "yes", "must be true or false"),
        ("heatmap/stride", 0, "stride must be above 0"),
        ("heatmap/offset", 10**400, "must be a finite number"),
        ("heatmap/size", 32, "32 cells with a stride of 4 pixels do not span an input of 256"),
        ("heatmap/stride", 8, "64 cells with a stride of 8 pixels do not span an input of 256"),
        ("graphs/body/outputs/0/shape", ["N", 13, 32, 32], r"return heatmaps: float32 \(N, 13, 64"),
        ("graphs", {}, "needs the graph 'body', but the manifest has only none"),
        ("graphs/body/file", "/etc/passwd", "plain name"),
        ("graphs/body/sha256", HASH.upper(), "64 hexadecimal digits"),
        ("graphs/body/inputs", [], "names of their own"),
        ("graphs/body/inputs/0/dtype", "float33", "unknown dtype"),
        ("graphs/body/inputs/0/shape", [1, -1], "whole numbers above 0 or names"),
        ("graphs/body/inputs/0/shape", ["N", 192, 192, 3], r"should take image: uint8 \(N, 256"),
        ("score_threshold", "high", "must be a finite number, but is 'high'"),
        ("score_threshold", 20, "threshold must be from 0 to 1, but is 20"),
        ("reinitialise_every", 0, "must be a whole number from 1 up"),
        ("weights", "int4", "one of float32, float16"),
        ("training", "much", "must be an object"),
        ("extra", 1, "members that are not known here: 'extra'"),
        ("heatmap/extra", 1, "'heatmap' in the manifest has members that are not known"),
    ],
)
def test_a_wrong_member_is_named_with_what_it_should_be(path, value, sentence):
    with pytest.raises(BundleFormatError, match=sentence):
        parse_manifest(changed(path, value))


def test_a_step_must_return_the_bodys_own_heatmaps_as_well():
    previous = replace(HEATMAPS, name="previous")
    graphs = {
        "head": GraphSpec("head.onnx", (IMAGE,), (HEATMAPS,), HASH, 9),
        "step": GraphSpec("step.onnx", (IMAGE, previous), (HEATMAPS,), HASH, 9),
    }
    with pytest.raises(BundleFormatError, match=r"'step' should take .* preliminary: float32"):
        parse_manifest(dump_manifest(framewise(method="propagation", graphs=graphs)))


def test_json_without_numbers_is_refused():
    text = dump_manifest(framewise()).replace('"offset": 1.5', '"offset": NaN')
    with pytest.raises(BundleFormatError, match="NaN is no JSON number"):
        parse_manifest(text)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}])
def test_what_json_cannot_hold_is_refused_before_it_is_written(value):
    with pytest.raises(BundleFormatError, match="holds a value that JSON cannot"):
        dump_manifest(framewise(accuracy={"pck": value}))


def test_two_graphs_may_not_share_a_file():
    body = GraphSpec("body.onnx", (IMAGE,), (HEATMAPS,), HASH, 9)
    text = dump_manifest(framewise(graphs={"body": body, "other": body}))
    with pytest.raises(BundleFormatError, match="share one file"):
        parse_manifest(text)


KERNELS = TensorSpec("kernels", "float32", ("N", 64, 7, 7))
STEP_INPUTS = (
    IMAGE,
    KERNELS,
    replace(HEATMAPS, name="start"),
    TensorSpec("fresh", "float32", ("N", 1, 1, 1)),
)
STEP_OUTPUTS = (
    HEATMAPS,
    replace(KERNELS, name="distilled"),
    replace(HEATMAPS, name="preliminary"),
)


def distilling(inputs=STEP_INPUTS, outputs=STEP_OUTPUTS) -> Manifest:
    graphs = {
        "head": GraphSpec("head.onnx", (IMAGE,), (HEATMAPS,), HASH, 9),
        "step": GraphSpec("step.onnx", inputs, outputs, HASH, 9),
    }
    return framewise(method="distillation", graphs=graphs)


def test_kernels_may_have_any_size():
    for shape in (("N", 64, 7, 7), ("N", 256, 5, 5), ("N", 128, 32, 32)):
        kernels = replace(KERNELS, shape=shape)
        inputs = (IMAGE, kernels, *STEP_INPUTS[2:])
        outputs = (HEATMAPS, replace(kernels, name="distilled"), STEP_OUTPUTS[2])
        manifest = distilling(inputs, outputs)
        assert parse_manifest(dump_manifest(manifest)) == manifest


@pytest.mark.parametrize(
    "inputs",
    [
        STEP_INPUTS[:1] + STEP_INPUTS[2:],
        STEP_INPUTS[:3],
        (IMAGE, replace(KERNELS, shape=("N", 64, 7)), *STEP_INPUTS[2:]),
        (IMAGE, replace(KERNELS, shape=("N", "C", 7, 7)), *STEP_INPUTS[2:]),
        (IMAGE, replace(KERNELS, shape=("N", 64, 5, 5)), *STEP_INPUTS[2:]),
    ],
    ids=["no kernels", "never fresh", "no squares", "size left open", "others than it distils"],
)
def test_a_step_must_hand_kernels_on(inputs):
    with pytest.raises(BundleFormatError, match="The graph 'step' should take"):
        parse_manifest(dump_manifest(distilling(inputs)))


DETECTOR = DetectorSpec(size=64, strides=(8, 16), score_threshold=0.6, max_overlap=0.65)


def with_detector(**changes) -> Manifest:
    frame = TensorSpec("frame", "uint8", ("N", 64, 64, 3))
    maps = [TensorSpec(f"stride_{s}", "float32", ("N", 64 // s, 64 // s, 5)) for s in (8, 16)]
    graph = GraphSpec("detector.onnx", (frame,), tuple(maps), HASH, 9)
    graphs = {**framewise().graphs, "detector": graph}
    return framewise(**{"graphs": graphs, "detector": DETECTOR, **changes})


def test_a_detector_comes_back_as_it_was_written():
    assert parse_manifest(dump_manifest(with_detector())).detector == DETECTOR
    assert "detector" not in json.loads(dump_manifest(framewise()))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"detector": None}, "without the section 'detector'"),
        ({"graphs": framewise().graphs}, "without the graph 'detector'"),
        ({"detector": replace(DETECTOR, strides=(8, 17))}, "must divide its size, 64"),
        ({"detector": replace(DETECTOR, strides=())}, "must divide its size"),
        ({"detector": replace(DETECTOR, size=128)}, "should take frame: uint8"),
        ({"detector": replace(DETECTOR, score_threshold=1.5)}, "score_threshold must be from 0"),
        ({"detector": replace(DETECTOR, max_overlap=-1.0)}, "max_overlap must be from 0 to 1"),
    ],
)
def test_a_detector_that_does_not_fit_is_refused(changes, sentence):
    with pytest.raises(BundleFormatError, match=sentence):
        parse_manifest(dump_manifest(with_detector(**changes)))


def test_strides_that_are_no_whole_numbers_are_refused():
    content = json.loads(dump_manifest(with_detector()))
    content["detector"]["strides"] = [8, 16.5]
    with pytest.raises(BundleFormatError, match="whole numbers of pixels"):
        parse_manifest(json.dumps(content))


def upright(**changes) -> Manifest:
    """A manifest of networks that see another part of a region than all of it in a square."""
    image = TensorSpec("image", "uint8", ("N", 256, 192, 3))
    options = {
        "input": InputSpec(256, 192, 256, (0.9, 1.1), (0, 7, 255)),
        "graphs": {"body": GraphSpec("body.onnx", (image,), (HEATMAPS,), HASH, 9)},
    }
    return framewise(**{**options, **changes})


def test_what_is_seen_of_a_region_survives_and_square_manifests_stay_as_they_were():
    assert parse_manifest(dump_manifest(upright())) == upright()
    black = framewise(input=replace(framewise().input, background=(0, 0, 0)))
    assert parse_manifest(dump_manifest(black)) == black
    assert set(json.loads(dump_manifest(framewise()))["input"]) == {
        "size",
        "color",
        "dtype",
        "layout",
    }


def test_graphs_must_take_images_of_the_size_that_is_seen():
    with pytest.raises(BundleFormatError, match=r"should take .*256, 192, 3"):
        parse_manifest(dump_manifest(upright(graphs=framewise().graphs)))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("window", [0, 1], "two positive numbers"),
        ("window", [1.0], "a list of 2 finite numbers"),
        ("background", [0, 0], "a list of 3 finite numbers"),
        ("background", [0, 0, 256], "three whole numbers from 0 to 255"),
        ("background", [0, 0.5, 0], "three whole numbers from 0 to 255"),
        ("width", 0, "a whole number from 1 up"),
        ("height", None, "a whole number from 1 up"),
    ],
)
def test_a_view_that_cannot_be_is_refused(name, value, sentence):
    content = json.loads(dump_manifest(upright()))
    content["input"][name] = value
    with pytest.raises(BundleFormatError, match=sentence):
        parse_manifest(json.dumps(content))


def test_graphs_are_onnx_files():
    graph = replace(framewise().graphs["body"], file="body.tflite")
    with pytest.raises(BundleFormatError, match=r"named \*\.onnx; one is 'body.tflite'"):
        parse_manifest(dump_manifest(framewise(graphs={"body": graph})))


def test_only_a_propagating_method_has_a_head_that_may_be_final():
    with pytest.raises(BundleFormatError, match="'head_is_final' is for bundles of the method"):
        parse_manifest(dump_manifest(framewise(head_is_final=True)))


def test_manifests_without_a_final_head_can_be_read_by_older_releases():
    assert "head_is_final" not in json.loads(dump_manifest(framewise()))
