"""Show the poses of one or more cameras on a page in the browser. Ctrl-C stops.

python samples/preview.py rtsp://camera/1 rtsp://camera/2
"""

import sys

import edgepose


def main(sources: list[str]) -> None:
    """Track until every source has ended."""
    with (
        edgepose.Preview() as preview,
        edgepose.TrackerPool(
            "ppn-swift",
            num_threads=1,
            on_frame=preview.on_frame,
            on_drop=preview.on_drop,
            on_error=preview.on_error,
            on_event=preview.on_event,
        ) as pool,
    ):
        print(f"Open {preview.url}")
        preview.watch(pool)
        for number, source in enumerate(sources, start=1):
            live = edgepose.LiveSettings(retry_first=True)
            pool.add(edgepose.open_source(source, live=live), name=f"camera {number}")
        try:
            pool.wait()
        except KeyboardInterrupt:
            print("Stopping.")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python preview.py SOURCE...")
    main(sys.argv[1:])
