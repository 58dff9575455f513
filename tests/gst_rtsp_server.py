"""A real RTSP camera: GStreamer's server with a test picture. A program for the system's Python, which has `gi`.

Prints `ready PORT` once it accepts connections. SIGUSR1 changes the size of the picture while it runs.
"""

from __future__ import annotations

import argparse
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - the versions come first

SIZES = ((320, 240), (480, 272))
ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 "
    "config-interval=-1",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph265pay name=pay0 pt=96 "
    "config-interval=-1",
    "jpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
}


def caps(size: tuple[int, int]) -> str:
    return f"video/x-raw,format=I420,width={size[0]},height={size[1]},framerate=30/1"


def protect(
    server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, options: argparse.Namespace
) -> None:
    """Asks for credentials, by the Basic or the Digest method, and speaks TLS if there is a certificate."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)
    permissions.add_permission_for_role("viewer", GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)
    factory.set_permissions(permissions)
    if options.certificate:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(options.certificate))
    if options.auth == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, options.password, token)
    elif options.auth == "basic":
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    else:
        auth.set_default_token(token)
    server.set_auth(auth)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", default="0")
    parser.add_argument("--codec", choices=sorted(ENCODERS), default="h264")
    parser.add_argument("--clip", help="play this recording instead of the test picture; it ends with the stream")
    parser.add_argument("--auth", choices=("basic", "digest"))
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", default="")
    parser.add_argument("--certificate", default="")
    options = parser.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    factory = GstRtspServer.RTSPMediaFactory()
    picture = "videotestsrc is-live=true pattern=ball"
    if options.clip:
        picture = f'filesrc location="{options.clip}" ! decodebin ! videoconvert ! videorate'
    factory.set_launch(
        f"( {picture} ! videoscale ! capsfilter name=size caps={caps(SIZES[0])} ! {ENCODERS[options.codec]} )"
    )
    factory.set_shared(True)
    if options.auth or options.certificate:
        protect(server, factory, options)
    server.get_mount_points().add_factory("/cam", factory)

    filters: list[Gst.Element] = []
    factory.connect("media-configure", lambda _, media: filters.append(media.get_element().get_by_name("size")))

    def resize() -> bool:
        filters[-1].set_property("caps", Gst.Caps.from_string(caps(SIZES[1])))
        return True

    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, resize)
    if not server.attach(None):
        sys.exit(f"port {options.port} is taken")  # a server left over from before would answer instead
    print(f"ready {server.get_bound_port()}", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
