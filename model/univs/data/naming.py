"""What objects of a clip may be called, so that a text means one of them, and what is not there at all."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from univs.vocabularies import spoken

_SIDES = {"left": "right", "right": "left"}


def plain_name(name: str) -> str:
    """Bring a name to one spelling: lower case, no underscores, no merged-class suffix, nothing in brackets."""
    return spoken(name).split(" (")[0]


def mirrored(text: str) -> str:
    """Swap left and right, for a picture that was flipped."""
    return re.sub(r"\b(left|right)\b", lambda found: _SIDES[found[0]], text)


def unambiguous(texts: Sequence[str], unseen: Iterable[str]) -> tuple[str, ...]:
    """Keep the texts that name one object alone; the others become "".

    Args:
        texts: of the objects of a clip, "" where there is none.
        unseen: of objects that the picture shows, or may show, and the clip leaves out.
    """
    counts = Counter(plain_name(text) for text in (*texts, *unseen))
    return tuple(text if counts[plain_name(text)] == 1 else "" for text in texts)


def absent_names(vocabulary: Sequence[str], texts: Iterable[str]) -> tuple[str, ...]:
    """Give the names of a vocabulary that no text of a clip stands for."""
    present = {plain_name(text) for text in texts}
    return tuple(name for name in vocabulary if plain_name(name) not in present)
