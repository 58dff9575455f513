"""A GStreamer RTSP server that repeats nothing and encodes nothing: one clip, in real time, for every client.

Runs under the system's Python, which has GStreamer's bindings. Usage: python3 rtsp_server.py PORT CLIP.mp4
The stream is at rtsp://127.0.0.1:PORT/clip; each first client after a pause starts it from the beginning.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")

from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - versions are chosen first

PIPELINE = (
    '( filesrc location="{clip}" ! qtdemux ! h264parse config-interval=-1 ! identity sync=true '
    "! rtph264pay name=pay0 pt=96 )"
)


def main(port: int, clip: str) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE.format(clip=clip))
    factory.set_shared(True)
    server.get_mount_points().add_factory("/clip", factory)
    if server.attach(None) == 0:
        sys.exit(f"port {port} is taken")
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
