"""Names of categories in the text space, each worked out once and then kept in a folder.

A tower takes about a tenth of a second and more for one name in all its templates; a list of a thousand names is asked
for again with every start of a process. What a name becomes depends on the tower alone, so the tower's hash and the
name are the key: FOLDER/HASH OF THE TOWER/HASH OF THE NAME.safetensors.
"""

import hashlib
import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from univs import tensor_files
from univs.errors import WeightsError
from univs.prompt_encoder.text import TextEncoder, TextFeatures

_FORMAT = "univs-name-1"

logger = logging.getLogger(__name__)


class RememberedNames(nn.Module):
    """A text encoder that looks names up before it encodes them; expressions are encoded each time.

    A file that is damaged, or of something else, is written anew; where nothing can be written, nothing is remembered.
    """

    def __init__(self, encoder: TextEncoder, identity: str, folder: Path) -> None:
        """Put a memory before an encoder.

        Args:
            encoder: what encodes.
            identity: the hash of its weights.
            folder: where names are kept; it is made when the first one is.
        """
        super().__init__()
        self.encoder = encoder
        self._folder = folder / identity

    @property
    def text_dim(self) -> int:
        """D."""
        return self.encoder.text_dim

    def encode(self, texts: list[str]) -> TextFeatures:
        """Encode expressions."""
        return self.encoder.encode(texts)

    def encode_names(self, names: list[str]) -> Tensor:
        """Encode names of categories: [N, D]. Each name is encoded by itself, so that a list gives its names' rows."""
        unknown = {name: self._path(name) for name in dict.fromkeys(names)}
        rows = {name: row for name, path in unknown.items() if (row := self._read(name, path)) is not None}
        for name, path in unknown.items():
            if name not in rows:
                rows[name] = self.encoder.encode_names([name])[0]
                _write(name, path, rows[name])
        nothing = self.encoder.encode_names([])  # of the type and on the device of the encoder
        return torch.stack([rows[name].to(nothing) for name in names]) if names else nothing

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()}.safetensors"

    def _read(self, name: str, path: Path) -> Tensor | None:
        if not path.is_file():
            return None
        try:
            row = tensor_files.read_tensors(path, _FORMAT).get("row")
            is_of_name = tensor_files.read_metadata(path, _FORMAT).get("config") == name
        except WeightsError as error:
            logger.warning("remembered name unusable", extra={"path": str(path), "reason": str(error)})
            return None
        is_good = row is not None and is_of_name and row.shape == (self.text_dim,)
        return row if is_good else None


def _write(name: str, path: Path, row: Tensor) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tensor_files.write(path, _FORMAT, {"row": row.detach().cpu().contiguous()}, name)
    except OSError as error:  # a folder that is not ours to write in
        logger.info("name not remembered", extra={"path": str(path), "reason": str(error)})
