"""Track two sources in one event loop, and print when each has a person.

python samples/asynchronous.py walk.mp4 rtsp://camera/1
"""

import asyncio
import sys

import edgepose


async def watch(source: str, model: edgepose.PoseModel) -> None:
    """Track a source until it ends; the other one is tracked in the meantime."""
    async with edgepose.AsyncPoseTracker(model) as tracker:
        poses = 0
        async for result in tracker.stream(source):
            poses += result.keypoints is not None
        print(f"{source}: {poses} poses")


async def main(sources: list[str]) -> None:
    """Track all sources on one set of networks."""
    with await asyncio.to_thread(edgepose.load, "ppn-swift") as model:
        await asyncio.gather(*(watch(source, model) for source in sources))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python asynchronous.py SOURCE...")
    try:
        asyncio.run(main(sys.argv[1:]))
    except edgepose.EdgePoseError as error:
        sys.exit(str(error))
