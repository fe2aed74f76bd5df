"""Write an animated GIF of a video with the pose drawn on it.

python samples/animated_gif.py samples/clips/balance.mp4 overlay.gif

It needs Pillow: pip install pillow
"""

import sys
from collections.abc import Iterator

import cv2

import edgepose

try:
    from PIL import Image
except ImportError:
    sys.exit("This sample needs Pillow: pip install pillow")

HEIGHT = 420  # pixels
EVERY = 3  # use every third frame
COLORS = 96


def main(source: str, target: str) -> None:
    """Track a video and write its overlay."""
    with edgepose.open_source(source) as opened:
        delay_ms = round(EVERY * opened.interval_ms)
    images = list(overlays(source))
    images[0].save(target, save_all=True, append_images=images[1:], duration=delay_ms, loop=0)
    print(f"Wrote {target}.")


def overlays(source: str) -> Iterator[Image.Image]:
    """Yield small images with the pose, all with the palette of the first one."""
    palette = None
    with edgepose.PoseTracker("ppn-swift") as tracker:
        for frame, result in tracker.stream(source, with_frames=True):
            if result.frame_id % EVERY == 0:
                overlay = edgepose.draw_result(frame, result)
                width = round(frame.shape[1] * HEIGHT / frame.shape[0])
                small = cv2.resize(overlay, (width, HEIGHT), interpolation=cv2.INTER_AREA)
                image = Image.fromarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
                palette = palette or image.quantize(COLORS)
                yield image.quantize(palette=palette, dither=Image.Dither.NONE)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python animated_gif.py VIDEO OUT.gif")
    try:
        main(*sys.argv[1:])
    except edgepose.EdgePoseError as error:
        sys.exit(str(error))
