"""What a text encoder is asked for the name of a category."""

# Suffixes of COCO's merged stuff classes ("tree-merged", "wall-other-merged") say nothing to a text encoder.
_SUFFIXES = ("-merged", "-other", "-stuff")


def spoken(name: str) -> str:
    """Bring the name of a category to words: lower case, spaces for underscores, no suffix of a merged class."""
    words = name.lower().replace("_", " ").strip()
    for suffix in (*_SUFFIXES, *_SUFFIXES):
        words = words.removesuffix(suffix)
    return words
