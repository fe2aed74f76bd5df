"""Serve a folder of JPEG images as an RTSP camera; runs under the system's Python, with GStreamer.

python3 rtsp_server.py FOLDER PORT

The images 00000.jpg, 00001.jpg ... are shown at 25 frames per second, over and over, at
rtsp://127.0.0.1:PORT/clip. It prints a line when it is ready, and runs until it is killed.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PIPELINE = (
    "( multifilesrc location={folder}/%05d.jpg index=0 loop=true"
    " caps=image/jpeg,framerate=25/1 ! jpegparse ! rtpjpegpay name=pay0 pt=26 )"
)


def main(folder, port):
    """Serve until killed."""
    Gst.init(None)
    for name in ("multifilesrc", "jpegparse", "rtpjpegpay"):
        if Gst.ElementFactory.find(name) is None:
            sys.exit(f"The GStreamer plug-in {name} is missing.")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE.format(folder=folder))
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.get_mount_points().add_factory("/clip", factory)
    if not server.attach(None):
        sys.exit(f"The port {port} cannot be used.")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
