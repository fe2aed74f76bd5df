import subprocess
import sys
import types

import pytest

from edgepose.cli import main as cli
from edgepose_runtime.errors import BundleNotFoundError, ConfigError


@pytest.fixture
def command(monkeypatch):
    """Put a function in the place of ``edgepose models``."""

    def install(run):
        module = types.SimpleNamespace(
            add_parser=lambda subparsers: subparsers.add_parser("models"), run=run
        )
        monkeypatch.setattr(cli, "import_module", lambda _: module)

    return install


def fail(error):
    def run(args):
        raise error

    return run


@pytest.mark.parametrize("code", [0, 1])
def test_the_exit_code_is_the_commands(command, code):
    command(lambda _: code)
    assert cli.main(["models"]) == code


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (BundleNotFoundError("There is no model."), 1, "There is no model."),
        (ConfigError("No such backend."), 2, "No such backend."),
        (KeyboardInterrupt(), 130, "Stopped by Ctrl-C."),
        (RuntimeError("odd"), 1, "(RuntimeError: odd)"),
    ],
)
def test_an_error_is_one_sentence_and_no_traceback(command, capsys, error, code, sentence):
    command(fail(error))
    assert cli.main(["models"]) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert said.startswith("edgepose: ")
    assert said.count("\n") == 1


def test_ctrl_c_while_a_command_is_imported_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(cli, "build_parser", fail(KeyboardInterrupt()))
    assert cli.main(["models"]) == 130
    assert capsys.readouterr().err == "edgepose: Stopped by Ctrl-C.\n"


@pytest.mark.parametrize("words", [["--debug", "models"], ["models", "--debug"]])
def test_debug_shows_where_it_happened(command, capsys, words):
    command(fail(ConfigError("No such backend.")))
    assert cli.main(words) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["fly"], ["track"], ["track", "x.mp4", "--nonsense"]])
def test_wrong_usage_ends_with_2(capsys, words):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2
    said, advice = capsys.readouterr().err.splitlines()
    assert said.startswith("edgepose") and ": error: " in said
    assert "--help' says what there is" in advice


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["trak", "x.mp4"], "Did you mean track?"),
        (["track", "x.mp4", "--josnl", "x"], "Did you mean --jsonl?"),
        (["track", "x.mp4", "--jsonn=x"], "Did you mean --jsonl?"),
        (["fly"], None),
        (["track", "x.mp4", "y.mp4"], None),
        (["track", "x.mp4", "--roi", "1"], None),
    ],
)
def test_a_slip_of_the_hand_is_told_what_it_may_mean(capsys, words, meant):
    with pytest.raises(SystemExit):
        cli.main(words)
    said = capsys.readouterr().err
    assert ("Did you mean" in said) == (meant is not None)
    assert meant is None or meant in said


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert all(command in said for command in ("track", "models", "doctor"))


def test_the_version_is_shown(capsys):
    import edgepose

    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"edgepose {edgepose.__version__}\n"


def test_help_loads_neither_opencv_nor_numba_nor_a_backend():
    program = (
        "import sys\n"
        "from edgepose.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'cv2', 'numba', 'openvino', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_python_m_edgepose_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "edgepose", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("edgepose ")


def test_a_camera_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    command = [sys.executable, "-m", "edgepose", "track", "1000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("edgepose: The camera 1000 cannot be opened")
    assert done.stderr.count("\n") == 1


SECRET = "rtsp://me:top se\tcret@camera/1"


@pytest.mark.parametrize(
    "words",
    [
        [SECRET],
        ["track", "a.mp4", SECRET],
        ["track", "a.mp4", "u: top se\tcret@camera"],
        ["track", "a.mp4", "--roi", SECRET],
        ["track", SECRET, "--fps", "3"],
        ["track", "CLIP", "--fps", SECRET],
        ["track", SECRET.replace("//", "/")],
        ["track", "me:top se\tcret@camera"],
        ["track", SECRET.replace("rtsp", "rtmpx")],
        ["track", SECRET + "x" * 5000 + "\0"],
        ["track", "CLIP", "--model", SECRET],
        ["track", "CLIP", "--jsonl", SECRET],
        ["track", "CLIP", "--video", SECRET],
        ["track", "CLIP", "--video", SECRET + ".mp4"],
        ["track", "CLIP", "--springs", SECRET, "--refine", "thin-slicing"],
        ["track", "CLIP", "--head", SECRET],
        ["track", "CLIP", "--backend", SECRET],
        ["track", "CLIP", "--device", SECRET],
        ["--debug", "track", "CLIP", "--model", SECRET],
    ],
    ids=lambda words: " ".join(word[:12] for word in words),
)
def test_no_message_repeats_a_password(words, sample_clip, capsys):
    try:
        code = cli.main([str(sample_clip) if word == "CLIP" else word for word in words])
    except SystemExit as end:
        code = end.code
    assert code in (1, 2)
    said = capsys.readouterr().err
    assert "cret" not in said
    assert "top se" not in said
