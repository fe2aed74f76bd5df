"""The page in a real browser: needs Chromium (Debian: chromium) and the package playwright."""

from __future__ import annotations

import shutil
import threading
from itertools import pairwise

import cv2
import numpy as np
import pytest

from edgepose.preview import Preview, PreviewSettings
from edgepose_runtime.capture import open_source
from edgepose_runtime.events import EventKind, StreamEvent

pytestmark = pytest.mark.browser

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DESKTOP, PHONE = {"width": 1280, "height": 760}, {"width": 390, "height": 844}
#: Playwright waits so long, in ms, before a test fails.
PATIENCE = 20_000


class Cameras:
    """A thread that shows a clip at several sources, over and over, until they are switched off."""

    def __init__(self, preview, clip, make_result, names):
        self._preview, self._clip, self._make_result = preview, clip, make_result
        self._on = set(names)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        number = 0
        while not self._done.wait(0.02):
            frame = self._clip[number % len(self._clip)]
            for name in sorted(self._on):
                self._preview.write(frame, self._make_result(number), name)
            number += 1

    def lose(self, name):
        self._on.discard(name)
        self._preview.on_event(name, StreamEvent(EventKind.LOST, 0.0, "the camera is off"))

    def find(self, name):
        self._preview.on_event(name, StreamEvent(EventKind.RECONNECTED, 0.0, "it is back"))
        self._on = {*self._on, name}

    def fall_silent(self, name):
        self._on = self._on - {name}

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    with api.sync_playwright() as playwright:
        # Containers run as root, where Chromium's own sandbox refuses to start.
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def clip(sample_clip):
    with open_source(sample_clip) as source:
        return [cv2.resize(frame.image, (270, 480)) for frame in source][::4]


@pytest.fixture
def preview():
    with Preview(PreviewSettings(port=0, max_fps=10)) as opened:
        yield opened


@pytest.fixture
def page(browser, preview):
    """An open page of the preview; at the end its console must be empty."""
    page = browser.new_page(viewport=DESKTOP)
    page.set_default_timeout(PATIENCE)
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(preview.url, wait_until="commit")
    yield page
    page.close()
    assert said == []


def tile(page, name):
    return page.locator(f'.tile[data-source="{name}"]')


def wait_for_state(page, name, state, timeout=PATIENCE):
    page.wait_for_selector(f'.tile[data-source="{name}"][data-state="{state}"]', timeout=timeout)


def picture(page, name):
    """What the browser shows in a tile, as BGR."""
    shot = tile(page, name).locator(".picture img").screenshot()
    return cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR).astype(int)


def wait_for_picture(page, name):
    page.wait_for_function(
        "name => document.querySelector(`[data-source='${name}'] img`)?.naturalWidth > 0", arg=name
    )


def test_the_picture_moves_and_has_poses(page, preview, clip, make_result):
    with Cameras(preview, clip, make_result, ["door"]):
        wait_for_state(page, "door", "up")
        wait_for_picture(page, "door")
        first = picture(page, "door")
        for _ in range(50):
            later = picture(page, "door")
            if later.shape == first.shape and np.abs(later - first).mean() > 1:
                break
        else:
            pytest.fail("the picture stands still")
    blue, green, red = later[..., 0], later[..., 1], later[..., 2]
    assert ((blue > 200) & (red < 90) & (green > 120)).sum() > 50  # the left side of the body
    assert ((red > 200) & (blue < 110) & (green < 170)).sum() > 50  # the right one


def test_the_chart_grows_and_figures_are_there(page, preview, clip, make_result):
    with Cameras(preview, clip, make_result, ["door"]):
        wait_for_state(page, "door", "up")
        grown = "n => Number(document.querySelector('.tile')?.dataset.ticks) >= n"
        page.wait_for_function(grown, arg=2)
        page.wait_for_function(grown, arg=4)
        drawn = page.evaluate(
            "() => { const c = document.querySelector('canvas'); return new Set(c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data.filter((_, i) => i % 4 === 0)).size }"
        )
        assert drawn > 3  # the stages' colours and the grid
        assert "network 3.0" in tile(page, "door").locator(".legend").inner_text()
        assert tile(page, "door").locator(".total").inner_text() == "4.0"
        assert tile(page, "door").locator(".people").inner_text() == "1 (#1)"


@pytest.mark.slow
def test_a_lost_camera_shows_within_two_seconds_and_comes_back(page, preview, clip, make_result):
    with Cameras(preview, clip, make_result, ["door", "yard"]) as cameras:
        wait_for_state(page, "yard", "up")
        wait_for_state(page, "door", "up")
        cameras.lose("door")
        wait_for_state(page, "door", "lost", timeout=2000)
        page.wait_for_selector("#events .lost")
        page.wait_for_selector("#summary.bad")
        cameras.find("door")
        wait_for_state(page, "door", "up")
        cameras.fall_silent("yard")
        wait_for_state(page, "yard", "silent", timeout=2500)
        assert "1 of 2 sources up" in page.locator("#summary").inner_text()


def test_a_phone_shows_several_cameras_below_each_other(page, preview, clip, make_result):
    page.set_viewport_size(PHONE)
    names = [f"camera {number}" for number in range(6)]
    with Cameras(preview, clip, make_result, names):
        for name in names:
            wait_for_state(page, name, "up")
        wait_for_picture(page, "camera 5")
        boxes = [tile(page, name).bounding_box() for name in names]
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert all(box["width"] > 340 for box in boxes)
        assert all(a["y"] + a["height"] <= b["y"] for a, b in pairwise(boxes))
        # Of many only the enlarged one moves: browsers open six connections at most.
        assert page.locator("img[src*='.mjpg']").count() == 0
        tile(page, "camera 3").locator(".picture").click()
        page.wait_for_selector(".tile.focus[data-source='camera 3'] img[src*='.mjpg']")


def test_names_of_sources_are_text(page, preview, clip, make_result):
    name = "<img src=x onerror=alert(1)>/?#&"
    with Cameras(preview, clip, make_result, [name]):
        page.wait_for_selector('.tile[data-state="up"]')
        page.wait_for_selector(".tile img")
        assert page.locator(".bar h2").inner_text() == name
        assert page.url.endswith(f"{preview.url.partition('?')[0]}")  # the token is gone
