import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as PillowImage
from pycocotools import mask as coco_reference
from tests.service.exports.results import SIZE, VIDEO, answer, frame, moving_square, square

from univs_service.exports import (
    ExportError,
    OverlaySink,
    ResultsDocument,
    decode_mask,
    encode_mask,
    open_export,
)
from univs_service.exports.painting import paint
from univs_service.exports.palette import davis_palette, object_colour


def test_mask_encoding_equals_the_reference_library() -> None:
    mask = np.random.default_rng(0).random(SIZE) > 0.5

    encoded = encode_mask(mask)

    reference = coco_reference.encode(np.asfortranarray(mask, dtype=np.uint8))
    assert encoded.counts.encode() == reference["counts"]
    assert np.array_equal(decode_mask(encoded), mask)


def test_palette_is_the_one_of_davis() -> None:
    palette = davis_palette()

    assert palette[:5].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert len({tuple(colour) for colour in palette.tolist()}) == 256
    assert object_colour(256) == object_colour(1) != (0, 0, 0)


def test_json_reads_back_as_its_schema(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.json"
    frames = moving_square(3)

    with open_export(path, VIDEO) as sink:
        for result in frames:
            sink.write(result)

    document = ResultsDocument.model_validate_json(path.read_text())
    assert document.num_frames == 3
    assert document.video == VIDEO
    assert [record.objects[0].mask for record in document.frames] == [f.objects[0].mask for f in frames]
    assert coco_reference.area(json.loads(path.read_text())["frames"][0]["objects"][0]["mask"]) == 100


def test_json_of_no_frames_is_still_whole(tmp_path: Path) -> None:
    with open_export(tmp_path / "out.json", VIDEO):
        pass

    assert ResultsDocument.model_validate_json((tmp_path / "out.json").read_text()).frames == []


@pytest.mark.parametrize("name", ["out.json", "out.mp4"])
def test_broken_off_export_leaves_no_file(tmp_path: Path, name: str) -> None:
    image = np.zeros((*SIZE, 3), dtype=np.uint8)

    with pytest.raises(KeyboardInterrupt), open_export(tmp_path / name, VIDEO) as sink:
        sink.write(frame(0), image)
        raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []


def test_indexed_png_reads_back_as_the_masks(tmp_path: Path) -> None:
    first, second = square(2, 2), square(30, 40)

    with open_export(tmp_path / "masks", VIDEO) as sink:
        sink.write(frame(7, answer(1, first), answer(200, second)))

    picture = PillowImage.open(tmp_path / "masks" / "00007.png")
    values = np.asarray(picture)
    assert picture.mode == "P"
    assert np.array_equal(values == 1, first)
    assert np.array_equal(values == 200, second)
    palette = picture.getpalette()
    assert palette is not None
    assert palette[3:6] == [128, 0, 0]


def test_overlap_goes_to_the_higher_score(tmp_path: Path) -> None:
    with open_export(tmp_path / "masks", VIDEO) as sink:
        sink.write(frame(0, answer(1, square(5, 5), score=0.9), answer(2, square(10, 10), score=0.4)))

    values = np.asarray(PillowImage.open(tmp_path / "masks" / "00000.png"))
    assert (values == 1).sum() == 100
    assert (values == 2).sum() == 75


def test_indexed_png_refuses_ids_beyond_a_byte(tmp_path: Path) -> None:
    with (
        open_export(tmp_path / "masks", VIDEO) as sink,
        pytest.raises(ExportError, match=r"1\.\.255.*256"),
    ):
        sink.write(frame(0, answer(256, square(0, 0))))


def test_overlay_has_every_frame_at_its_time(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    image = np.full((*SIZE, 3), 200, dtype=np.uint8)

    with open_export(path, VIDEO) as sink:
        for result in moving_square(5):
            sink.write(result, image)

    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    assert len(decoded) == 5
    assert [decoded[0].width, decoded[0].height] == [62, 46]
    assert [d.time for d in decoded] == pytest.approx([index * 512 / 12800 for index in range(5)])


def test_overlay_paints_the_object_and_leaves_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    image = np.full((120, 160, 3), 200, dtype=np.uint8)
    mask = np.zeros((120, 160), dtype=np.bool_)
    mask[50:110, 60:110] = True

    with open_export(path, VIDEO) as sink:
        sink.write(frame(0, answer(1, mask)), image)

    with av.open(str(path)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert picture[90, 85].astype(int).tolist() == pytest.approx([164, 100, 100], abs=12)
    assert picture[10, 10].astype(int).tolist() == pytest.approx([200, 200, 200], abs=6)


def test_names_are_written_whole_wherever_the_object_is() -> None:
    image = np.full((480, 640, 3), 90, dtype=np.uint8)
    counts = []
    for top, left in ((90, 100), (0, 0), (476, 636), (476, 0)):
        mask = np.zeros((480, 640), dtype=np.bool_)
        mask[top : top + 4, left : left + 4] = True
        painted = paint(image, frame(0, answer(1, mask, label="brown bear")))
        counts.append((painted > 200).all(axis=2).sum())

    assert counts[0] > 50
    assert counts == [counts[0]] * 4  # white letters on the colour of the object


def test_overlay_refuses_frames_of_another_video(tmp_path: Path) -> None:
    with (
        pytest.raises(ExportError, match="8x6 pixels and its masks are 61x45"),
        OverlaySink(tmp_path / "out.mp4", Fraction(25)) as sink,
    ):
        sink.write(frame(0), np.zeros((6, 8, 3), dtype=np.uint8))


def test_overlay_refuses_a_frame_twice(tmp_path: Path) -> None:
    image = np.zeros((*SIZE, 3), dtype=np.uint8)

    with (
        pytest.raises(ExportError, match="rising order"),
        open_export(tmp_path / "out.mp4", VIDEO) as sink,
    ):
        sink.write(frame(3), image)
        sink.write(frame(3), image)


def test_overlay_takes_a_time_that_steps_back(tmp_path: Path) -> None:
    image = np.zeros((*SIZE, 3), dtype=np.uint8)
    results = [result.model_copy(update={"pts": pts}) for result, pts in zip(moving_square(3), (5, 9, 9), strict=True)]

    with open_export(tmp_path / "out.mp4", VIDEO) as sink:
        for result in results:
            sink.write(result, image)

    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(list(container.decode(video=0))) == 3


def test_unknown_suffix_names_the_kinds_there_are(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"\.json.*\.mp4.*folder.*'\.avi'"):
        open_export(tmp_path / "out.avi", VIDEO)
