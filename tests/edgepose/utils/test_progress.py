import io

from edgepose.utils.progress import show_progress


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_gets_a_line_every_five_seconds_and_one_at_the_end():
    stream, clock = io.StringIO(), Clock()
    with show_progress("track", 100, stream=stream, clock=clock) as progress:
        for _ in range(12):
            clock.now += 1
            progress.advance(note="propagated")
    assert stream.getvalue().splitlines() == [
        "track: 5/100 (5 %), 1.0/s, propagated",
        "track: 10/100 (10 %), 1.0/s, propagated",
        "track: 12/100 (12 %), 1.0/s, propagated",
    ]


def test_without_a_total_only_the_count_is_shown():
    stream, clock = io.StringIO(), Clock()
    with show_progress("camera", None, stream=stream, clock=clock) as progress:
        clock.now = 2.0
        progress.advance(4)
    assert stream.getvalue() == "camera: 4, 2.0/s\n"


def test_work_that_fails_still_says_how_far_it_came():
    stream = io.StringIO()
    try:
        with show_progress("track", 3, stream=stream, clock=Clock()) as progress:
            progress.advance()
            raise ValueError
    except ValueError:
        pass
    assert stream.getvalue() == "track: 1/3 (33 %)\n"


def test_a_terminal_gets_a_bar():
    stream = Terminal()
    with show_progress("track", 2, stream=stream) as progress:
        progress.advance(2, note="propagated")
    assert "2/2" in stream.getvalue()
    assert "propagated" in stream.getvalue()


def test_a_terminal_without_rich_gets_lines(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rich", None)
    stream = Terminal()
    with show_progress("track", 2, stream=stream) as progress:
        progress.advance(2)
    assert stream.getvalue().startswith("track: 2/2 (100 %)")
