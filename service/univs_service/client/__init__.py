"""The Python client of the service: `UniVSClient` for scripts, `AsyncUniVSClient` for asyncio.

Needs neither torch nor `univs`. Prompts: `box(1, x0, y0, x1, y1)`, `point(1, x, y)`, `mask(1, array)`,
`text(1, "the brown bear")`; the first number is the object's. `spread(prompt, "both")` follows an object backward too.
"""

from univs_service.client.asynchronous import DEFAULT_URL, AsyncUniVSClient, Progress
from univs_service.client.errors import ClientError, ConnectionLostError, ProblemError, StreamClosedError
from univs_service.client.prompts import box, mask, point, scribble, spread, stuff, text
from univs_service.client.stream import EventStream
from univs_service.client.synchronous import SyncEventStream, UniVSClient
from univs_service.exports.masks import decode_mask

__all__ = [
    "DEFAULT_URL",
    "AsyncUniVSClient",
    "ClientError",
    "ConnectionLostError",
    "EventStream",
    "ProblemError",
    "Progress",
    "StreamClosedError",
    "SyncEventStream",
    "UniVSClient",
    "box",
    "decode_mask",
    "mask",
    "point",
    "scribble",
    "spread",
    "stuff",
    "text",
]
