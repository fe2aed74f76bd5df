import pytest

from edgepose.training.config.loader import load_config, parse_config, recipe_names
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.input_view import InputView

MINIMAL = """
phases = [{ steps = 10, size = 64, batch = 2 }]
sources = [{ kind = "people" }]
[network]
backbone = "mobilenet_v2"
[optimiser]
learning_rate = 1e-3
warmup = 5
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL)
    return path


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_can_be_read(name):
    assert load_config(name).name == name.replace("/", "-")


def test_a_recipe_is_named_after_its_file(file):
    config = load_config(file)
    assert config.name == "mine"
    assert config.total_steps == 10


def test_a_config_survives_its_plain_form(file):
    config = load_config(file)
    assert parse_config(config.as_dict()) == config


def test_options_can_be_changed_by_name(file):
    changes = ["optimiser.learning_rate=2e-4", "start.body=runs/a b.pt", "seed = 7"]
    config = load_config(file, changes)
    assert config.optimiser.learning_rate == 2e-4
    assert config.optimiser.warmup == 5
    assert config.start == {"body": "runs/a b.pt"}
    assert config.seed == 7


def test_a_recipe_extends_another_option_by_option(file, tmp_path):
    child = tmp_path / "child.toml"
    child.write_text('extends = "mine.toml"\nseed = 3\n[optimiser]\nwarmup = 1\n')
    config = load_config(child)
    assert (config.name, config.seed, config.optimiser.warmup) == ("child", 3, 1)
    assert config.optimiser.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("phases = [", "not valid TOML"),
        ("speed = 3\n" + MINIMAL, "speed"),
        (MINIMAL + "pace = 3\n", "pace"),
        (MINIMAL + 'name = "lion"\n', "lion"),
        (MINIMAL + 'schedule = "tomorrow"\n', "tomorrow"),
        (MINIMAL + "ema = 1.0\n", "ema"),
        (MINIMAL.replace("size = 64", "size = 60"), "multiple of 32"),
        (MINIMAL.replace("steps = 10", "steps = 0"), "positive steps"),
        (MINIMAL.replace("steps = 10, ", ""), "steps"),
        (MINIMAL.replace('kind = "people"', 'kind = "people", share = 0.0'), "share"),
        ("phases = 3\nsources = []", "phases"),
        ("phases = [4]\nsources = []", "phases"),
        ("sources = []", "at least one phase"),
        (MINIMAL.replace("[network]", 'ppn = "ppn-swift"\n[network]'), "sequence"),
        (MINIMAL.replace('[network]\nbackbone = "mobilenet_v2"', ""), "network"),
        (MINIMAL + "[sequence]\nlength = 0\n", "length"),
        ('extends = "nowhere.toml"', "nowhere.toml"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, text, named):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named):
        load_config(path)


def test_an_unknown_recipe_lists_those_there_are(tmp_path):
    with pytest.raises(ConfigError, match="ppn-swift-body"):
        load_config("ppn-slow")


@pytest.mark.parametrize("change", ["seed", "=3", "seed.x=1"])
def test_a_change_that_makes_no_sense_is_refused(file, change):
    with pytest.raises(ConfigError):
        load_config(file, [f"seed={1}", change])


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_read_each_set_where_evaluation_looks_for_it(name):
    assert all(source.path == source.kind for source in load_config(name).sources)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("seed=abc", "'seed' of the recipe must be a whole number; got 'abc'"),
        ("seed=1.5", "'seed' of the recipe must be a whole number; got 1.5"),
        ("seed=true", "'seed' of the recipe must be a whole number; got True"),
        ("seed=-1", "'seed' must be at least 0; got -1"),
        ("foreground=-1", "'foreground' must be at least 0; got -1"),
        ("foreground=nan", "'foreground' of the recipe must be a finite number; got nan"),
        ("checkpoint_minutes=-1", "'checkpoint_minutes' must be at least 0"),
        ("validate_every=-5", "'validate_every' must be at least 0"),
        ("skeleton=foo", "no skeleton 'foo'; edgepose has penn13"),
        ("frozen=body", "'frozen' of the recipe must be a list, each a text; got 'body'"),
        ("start.body=3", "'start' of the recipe must be a table, each value a text"),
        ("optimiser.warmup=-3", "'warmup' must be at least 0; got -3"),
        ("optimiser.clip=-1", "'clip' must be at least 0; got -1"),
        ("optimiser.weight_decay=-1", "'weight_decay' must be at least 0; got -1"),
        ("optimiser.learning_rate=fast", "of optimiser must be a finite number; got 'fast'"),
        ("optimiser.milestones=[1.5]", r"'milestones' must lie between 0 and 1; got \(1.5,\)"),
        ("augmentation.rotation_degrees=x", "'rotation_degrees' of augmentation must be a finite"),
        ("augmentation.rotation_degrees=-9", "rotation_degrees must be at least 0; got -9"),
        ("augmentation.scale=[1.0]", r"'scale' of augmentation must be a list of 2, each a finite"),
        ("augmentation.convention=box", "must be 'person' or 'image'; got 'box'"),
        ("targets.stride=4.5", "'stride' of targets must be a whole number; got 4.5"),
        ("network.backbone=foo", "no backbone 'foo'; choose one of mobilenet_v2"),
        ("network.stages=three", "'stages' of the network must be a whole number; got 'three'"),
        ("phases=[{steps='1',size=64,batch=1}]", "'steps' of phases must be a whole number"),
        ("sources=[{kind='people',share='all'}]", "'share' of sources must be a finite number"),
    ],
)
def test_values_of_another_type_or_out_of_range_are_named(file, change, expected):
    with pytest.raises(ConfigError, match=expected):
        load_config(file, [change])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"phases": [{"steps": 1, "size": 64, "batch": 1}]}, "takes images of 96 rows.* got 64"),
        ({"augmentation": {"convention": "image"}}, "with the crop convention 'person'"),
    ],
)
def test_upright_images_are_trained_on_crops_that_fit(options, expected):
    image = {"backbone": "mobilenet_v2", "head": "pyramid", "image": [64, 96], "region": 80}
    phases = [{"steps": 1, "size": 96, "batch": 1}]
    values = {"name": "mine", "phases": phases, "sources": [{"kind": "people"}], "network": image}
    assert parse_config(values).crop_view == InputView(96, 96, (1.2, 1.2), background=(0, 0, 0))
    with pytest.raises(ConfigError, match=expected):
        parse_config({**values, **options})


@pytest.mark.parametrize(
    ("ppn", "expected"),
    [
        ("ppn-slow", "no PPN 'ppn-slow'"),
        ({"base": "ppn-swift", "skip": 1}, "'skip' of the PPN must be true or false; got 1"),
        ({"base": "ppn-swift", "wings": 2}, "wings"),
    ],
)
def test_networks_for_sequences_are_checked_when_the_recipe_is_read(file, ppn, expected):
    values = {"phases": [{"steps": 1, "size": 64, "batch": 1}], "sources": [{"kind": "people"}]}
    with pytest.raises(ConfigError, match=expected):
        parse_config({"name": "mine", **values, "ppn": ppn, "sequence": {}})


def test_whole_numbers_do_for_other_numbers(file):
    assert load_config(file, ["foreground=8"]).foreground == 8
