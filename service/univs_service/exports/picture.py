"""Results as one picture: the last frame with what was found painted over. Of a still, that is all there is."""

from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image as PillowImage

from univs_service.exports.files import WholeFile
from univs_service.exports.masks import Image
from univs_service.exports.painting import paint
from univs_service.exports.sink import ExportError, FrameOrder
from univs_service.messages import FrameResultEvent

_QUALITY = 90
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


class PictureSink:
    """Keep the last frame, and write it at the end; frames must come in rising order."""

    needs_image = True

    def __init__(self, path: Path) -> None:
        self._target = WholeFile(path)
        self._format = _FORMATS[path.suffix.lower()]
        self._order = FrameOrder()
        self._last: tuple[FrameResultEvent, Image] | None = None

    def __enter__(self) -> Self:
        self._target.__enter__()
        return self

    def write(self, result: FrameResultEvent, image: Image | None = None) -> None:
        """Remember one frame in place of the one before."""
        if image is None:
            raise ExportError("an overlay needs the picture of every frame, got none; give the video's own frames")
        self._order.check(result)
        self._last = (result, image)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._last is not None:
                result, image = self._last
                picture = PillowImage.fromarray(paint(image, result))
                picture.save(self._target.partial, format=self._format, quality=_QUALITY)
        except BaseException as failure:
            self._target.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._target.__exit__(kind, error, trace)
