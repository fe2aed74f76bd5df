"""Four cameras and one Triton server, which batches the requests of all cameras.

On the machine with the GPU, or on this one:   edgepose serve ppn-swift
Here:   python samples/four_cameras_one_server.py grpc://127.0.0.1:8001 \
            http://127.0.0.1:8002/metrics walk.mp4 rtsp://camera/1 0

With fewer than four sources, the last one is used several times.
"""

import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import edgepose

CAMERAS = 4


def show(name: str, result: edgepose.PoseResult) -> None:
    """Print the age of the last server answer now and then."""
    if result.frame_id % 50 == 0:
        age = result.head_age_ms
        said = "none yet" if age is None else f"{age:.0f} ms old"
        print(f"{name}: frame {result.frame_id}, server answer: {said}")


def batches(page: str) -> tuple[float, float]:
    """Return how many requests Triton answered, and with how many inferences."""
    found = {}
    with urllib.request.urlopen(page) as metrics:
        for line in metrics.read().decode().splitlines():
            if line.startswith("nv_inference_"):
                found[line.partition("{")[0]] = float(line.rpartition(" ")[2])
    return found["nv_inference_count"], found["nv_inference_exec_count"]


def paced(path: str) -> Any:
    """Return a source that delivers frames when they are due, as a camera does.

    A file is read as fast as it can be tracked, and would be over before the server answers.
    """
    source = edgepose.open_source(path)
    return source if source.is_live else in_time(source)


def in_time(source: Any) -> Iterator[Any]:
    """Yield the images of a file at its own speed."""
    start = time.monotonic()
    with source:
        for frame in source:
            time.sleep(max(0.0, start + frame.timestamp_ms / 1000 - time.monotonic()))
            yield frame.image


def main(address: str, metrics: str, *sources: str) -> None:
    """Track all sources in parallel and print how many requests each inference served."""
    chosen = [*sources, *[sources[-1]] * CAMERAS][:CAMERAS]
    head = edgepose.RemoteHead(address, server=edgepose.ServerSettings(deadline_s=10.0))
    count, runs = batches(metrics)
    with edgepose.TrackerPool(on_result=show, head=head, reinitialise_every=5) as pool:
        for number, source in enumerate(chosen):
            pool.add(paced(source), f"camera {number}")
        pool.wait()
        for name, stats in pool.stats.items():
            if stats.head is not None:
                asked = f"{stats.head.requests} requests, {stats.head.merged} answers merged"
                print(f"{name}: {stats.poses} poses; {asked}")
    after = batches(metrics)
    print(f"Triton answered {after[0] - count:.0f} requests in {after[1] - runs:.0f} inferences.")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: python four_cameras_one_server.py GRPC_ADDRESS METRICS_PAGE SOURCE ...")
    main(*sys.argv[1:])
