"""The child process that makes an export: decoding and encoding stay out of the gateway, and have limits of their own.

`python -m univs_service.exports.child LIMITS ORDER` (JSON both) writes the file and exits with 0; otherwise with one of
the statuses in `order.py`, and what was expected, what came and what to do on the last line of stderr.
"""

import errno
import resource
import sys
from collections.abc import Iterator

from univs_service.exports import ExportError, FrameAddress, open_export
from univs_service.exports.masks import Image
from univs_service.exports.order import (
    EXIT_DISK,
    EXIT_NO_RESULTS,
    EXIT_REFUSED,
    EXIT_VIDEO,
    ExportOrder,
    Limits,
)
from univs_service.exports.recorded import RecordedResults
from univs_service.media_child import MediaError, pictures


class NoResultsError(Exception):
    """There is nothing to export yet."""


def make_export(order: ExportOrder) -> None:
    """Write what was ordered.

    Raises:
        NoResultsError: when no frame has a result.
        ExportError: when the format cannot hold the results.
        MediaError: when the video cannot be decoded.
    """
    results = RecordedResults(order.results, order.last_seq)
    if not len(results):
        raise NoResultsError(
            "expected at least one frame with a result, got none so far; wait for the first `frame.result`"
        )
    frames = FrameAddress(order.frames_url) if order.frames_url else None
    sink = open_export(order.target, order.video, order.kind, names=order.names, frames=frames)
    images = _Images(order) if sink.needs_image else None
    with sink:
        for result in results:
            image = images.read(result.frame_index) if images else None
            sink.write(result, image)


class _Images:
    """Pictures of frames in rising order."""

    def __init__(self, order: ExportOrder) -> None:
        if order.video_file is None:
            raise ExportError(
                f"{order.kind.value} paints over the frames of a stored video, but those of this session came live "
                "and are not kept; export the masks (json, davis ...) and paint over your own frames"
            )
        self._pictures: Iterator[tuple[int, Image]] = enumerate(pictures(order.video_file))

    def read(self, frame_index: int) -> Image:
        for index, picture in self._pictures:
            if index == frame_index:
                return picture
        raise ExportError(f"expected frame {frame_index} in the video, but it ends before; upload the whole file")


def main(arguments: list[str]) -> int:
    """Run the child."""
    limits, order = Limits.model_validate_json(arguments[0]), ExportOrder.model_validate_json(arguments[1])
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        make_export(order)
    except NoResultsError as error:
        return _fail(EXIT_NO_RESULTS, str(error))
    except ExportError as error:
        return _fail(EXIT_REFUSED, str(error))
    except MediaError as error:
        return _fail(EXIT_VIDEO, error.detail)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        return _fail(EXIT_DISK, f"expected room for the export, but the disk is full ({error.strerror}); delete videos")
    return 0


def _fail(status: int, words: str) -> int:
    sys.stderr.write(f"{' '.join(words.split())}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
