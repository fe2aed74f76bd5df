import numpy as np
import pytest

from edgepose.datasets.motion_windows import SET_APART, MotionWindows, cut_windows, set_apart
from edgepose.datasets.sequences import read_jhmdb_sequences, read_penn_sequences
from edgepose.training.config.dynamics import DynamicsConfig
from edgepose.training.config.loader import load_recipe
from edgepose.training.dynamics.trainer import train_dynamics
from edgepose.training.dynamics.trials import Setting, draw_setting, draw_trial
from edgepose.training.trainer import RunSettings
from edgepose_runtime.errors import CheckpointError, ConfigError, DataError
from edgepose_runtime.interpolation.dictionary import load_dictionary

SMALL = ["steps=4", "batch=2", "poles=6"]


@pytest.fixture
def root(tmp_path):
    """Joint sequences of three people, one of them set apart, for both sets."""
    random = np.random.default_rng(0)
    joints = random.normal(size=(150, 13, 2)).cumsum(axis=0).astype(np.float32) + 100
    boxes = np.concatenate([joints.min(axis=1), joints.max(axis=1)], axis=1)
    (tmp_path / "penn").mkdir()
    np.savez(
        tmp_path / "penn" / "train_joints.npz",
        ids=np.array(["0002", "0004", "0005"]),
        offsets=np.array([0, 50, 100, 150]),
        joints=joints,
        visible=np.ones((150, 13), bool),
        boxes=boxes,
        actions=np.array(["bowl"] * 3),
    )
    (tmp_path / "jhmdb").mkdir()
    np.savez(
        tmp_path / "jhmdb" / "joints.npz",
        clips=np.array(["jump/a", "run/b", "run/c"]),
        offsets=np.array([0, 50, 80, 150]),
        joints=np.concatenate([joints, joints[:, :2]], axis=1),
        frame_ok=np.ones(150, bool),
        val=np.array([False, False, True]),
    )
    return tmp_path


@pytest.mark.parametrize("name", ["motion", "dyan-penn", "dyan-jhmdb"])
def test_shipped_recipes_train_a_dictionary(root, tmp_path, name):
    config = load_recipe(f"dynamics/{name}", SMALL)
    out, steps = tmp_path / "out", []
    assert train_dynamics(config, root, RunSettings(out), lambda done: steps.append(done.step))
    assert steps == [1, 2, 3, 4]
    assert load_dictionary(out / "dictionary.npz").atoms(40).shape == (40, 25)
    for file in ("poles.png", "atoms.png", "curves.png", "log.csv", "config.json"):
        assert (out / file).is_file()


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(root, tmp_path):
    config = load_recipe("dynamics/motion", SMALL)
    train_dynamics(config, root, RunSettings(tmp_path / "whole"), lambda _: None)
    parts = RunSettings(tmp_path / "parts", max_minutes=0, resume=True)
    while not train_dynamics(config, root, parts, lambda _: None):
        pass
    whole, pieces = (load_dictionary(tmp_path / n / "dictionary.npz") for n in ("whole", "parts"))
    np.testing.assert_allclose(pieces.kinds.weights, whole.kinds.weights, rtol=1e-6)


def test_a_checkpoint_of_another_dictionary_is_refused(root, tmp_path):
    settings = RunSettings(tmp_path / "out", resume=True)
    train_dynamics(load_recipe("dynamics/motion", SMALL), root, settings, lambda _: None)
    other = load_recipe("dynamics/motion", [*SMALL, "poles=7"])
    with pytest.raises(CheckpointError, match="does not fit"):
        train_dynamics(other, root, settings, lambda _: None)


@pytest.mark.parametrize(
    "change", ["steps=0", "learning_rate=0", "kind=magic", "colour=1", "milestones=[2.0]"]
)
def test_options_that_do_not_fit_are_refused(change):
    with pytest.raises(ConfigError):
        load_recipe("dynamics/motion", [change])


def test_a_recipe_of_a_network_stays_one():
    assert not isinstance(load_recipe("ppn-swift-body"), DynamicsConfig)


def test_sequences_of_validation_are_not_trained_on(root):
    assert [s.name for s in read_jhmdb_sequences(root / "jhmdb")] == ["jump/a", "run/b"]
    kept, apart = set_apart(read_penn_sequences(root / "penn"))
    assert [s.name for s in kept] == ["0002", "0005"]
    assert [s.name for s in apart] == ["0004"]
    with pytest.raises(DataError, match="set apart"):
        set_apart(kept)


def test_the_videos_set_apart_are_those_with_numbers_of_four():
    lines = SET_APART.read_text().splitlines()[1:]
    assert all(int(name) % 4 == 0 for line in lines for name in line.split())


def test_windows_are_in_sides_of_the_box_and_need_visible_joints(root):
    sequences = read_penn_sequences(root / "penn")
    windows = cut_windows(sequences, 40, 5)
    assert windows.paths.shape == (9, 40, 13, 2)
    sides = np.ptp(windows.paths, axis=2).max(axis=2)
    np.testing.assert_allclose(np.median(sides, axis=1), 1, atol=1e-5)
    with pytest.raises(DataError, match="visible"):
        cut_windows(sequences, 51, 5)


@pytest.mark.parametrize("placement", ["uniform", "random"])
def test_trials_have_the_keys_noise_and_gaps_that_were_asked_for(placement):
    windows = MotionWindows(np.zeros((50, 40, 13, 2)), np.ones((50, 13), bool))
    trial = draw_trial(windows, Setting(10, 0.02, placement, 0.2), np.random.default_rng(0))
    assert (np.diff(trial.key_frames, axis=1) > 0).all()
    assert trial.key_frames.min() >= 0 and trial.key_frames.max() <= 39
    assert trial.key_poses.std() == pytest.approx(0.02, rel=0.05)
    assert trial.seen.mean() == pytest.approx(0.8, abs=0.02)
    assert trial.seen.any(axis=1).all()


def test_settings_to_train_for_cover_what_is_measured():
    random = np.random.default_rng(0)
    drawn = [draw_setting(random) for _ in range(300)]
    assert {setting.keys for setting in drawn} == set(range(4, 25))
    assert {setting.missing for setting in drawn} == {0.0, 0.2}
    assert max(setting.noise for setting in drawn) > 0.04
