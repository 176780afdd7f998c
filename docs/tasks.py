"""Make the pictures of docs/tasks.md again: python docs/tasks.py CLIP.mp4 [WEIGHTS [NAME ...]], with `univs` installed.

CLIP is 01_dog.mp4 (1280 x 720): a woman gives a toy to a dog. Each command is run as it stands in docs/tasks.md; the
last frame that it answers becomes docs/pictures/task-NAME.jpg. A command that is refused says so; its picture stays.
"""

import sys
import tempfile
from pathlib import Path

import typer
from PIL import Image

from univs_service.cli.main import app
from univs_service.media_child import pictures

TO_FRAME = 3
PICTURES = Path(__file__).parent / "pictures"
COMMANDS = {
    "vos": [
        "--task",
        "vos",
        "--box",
        "1:448,379,704,555",
        "--point",
        "2:330,370",
        "--name",
        "1:dog",
        "--name",
        "2:woman",
    ],
    "pvos": [
        *("--task", "pvos", "--box", "1:448,379,704,555", "--scribble", "2:500,650 800,600 1000,650"),
        *("--name", "1:dog", "--name", "2:path"),
    ],
    "refvos": ["--task", "refvos", "--text", "1:the dog", "--text", "2:the woman in jeans", "--text", "3:a red car"],
    "vis": ["--task", "vis", "--vocabulary", "coco"],
    "vss": ["--task", "vss", "--vocabulary", "ade20k"],
    "vps": ["--task", "vps", "--vocabulary", "coco_panoptic"],
    "still": ["--task", "vps", "--names", "person, dog", "--stuff", "path, wall, plant, building"],
}


def make(clip: Path, weights: str, names: list[str], folder: Path) -> None:
    """Run the commands of these names and keep what they painted, at most 800 pixels wide."""
    still = folder / "still.jpg"
    Image.fromarray(next(pictures(clip))).save(still, quality=95)
    for name, options in ((name, COMMANDS[name]) for name in names):
        painted = folder / f"{name}.png"
        source = [str(still)] if name == "still" else [str(clip), "--to-frame", str(TO_FRAME)]
        typer.echo(f"== {name}")
        app(["segment", *source, "--model", weights, *options, "-o", str(painted)], standalone_mode=False)
        if not painted.exists():  # refused, with the reason said
            continue
        with Image.open(painted) as picture:
            picture.thumbnail((800, 800))
            picture.convert("RGB").save(PICTURES / f"task-{name}.jpg", quality=85)


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    with tempfile.TemporaryDirectory() as temporary:
        make(Path(given[1]), given.get(2, "nano"), sys.argv[3:] or list(COMMANDS), Path(temporary))
