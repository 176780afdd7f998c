"""A real RTSP server (GStreamer's) that plays a Matroska file with H.264 as a camera would.

It runs in the system's Python, which has GStreamer's bindings:
apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.needs import give_up_without

_PYTHON = "/usr/bin/python3"
_IMPORTS = """
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
assert Gst.ElementFactory.find("rtph264pay") and Gst.ElementFactory.find("matroskademux")
"""
_SERVE = (
    _IMPORTS
    + """
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory()
source = f'filesrc location="{sys.argv[1]}" ! matroskademux'
factory.set_launch(f"( {source} ! rtph264pay name=pay0 pt=96 config-interval=-1 )")
if len(sys.argv) > 2:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(sys.argv[2], sys.argv[3]), token)
    server.set_auth(auth)
    role = "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
    factory.add_role_from_structure(Gst.Structure.from_string(role)[0])
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""
)


@contextmanager
def serve(clip: Path, *account: str) -> Iterator[int]:
    """Play a clip from its start to each client; give the port.

    Where no server is installed the test is skipped, or fails in CI.
    """
    try:
        subprocess.run([_PYTHON, "-c", _IMPORTS], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        give_up_without("GStreamer's RTSP server", "tests/rtsp_server.py names the packages")
    command = [_PYTHON, "-c", _SERVE, str(clip), *account]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()
