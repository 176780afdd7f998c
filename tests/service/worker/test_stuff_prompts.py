"""A prompt may say that its object is stuff; weights that are run as published then label its pixels."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco
from tests.service.worker.test_live_sessions import check_numbering, results

from univs import weights
from univs.inference.options import released_vos
from univs.types import Compat
from univs_service.messages import AddPrompt, Following, PromptIn
from univs_service.worker.engine import Engine

ONLY_SKY = Following(stuff_vocabulary=["sky"])


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The engine of `bench`, run as published, with masks that are not too faint to be stable."""
    torch.set_num_threads(1)
    model, info = weights.load("tiny")
    last = model.mask_decoder.heads.mask[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.mul_(100)
    options = replace(released_vos(), clip_length=3, short_side_px=64, tokens_per_frame=8, memory_frames=3)
    return Engine(model.optimize_for_inference(), replace(info, compat=Compat.RELEASED), options)


def areas(events: list[dict[str, Any]], object_id: int, run_id: int = 1) -> list[float]:
    return [
        found["area_fraction"]
        for objects in results(events, run_id).values()
        for found in objects
        if found["object_id"] == object_id
    ]


@pytest.fixture
def make_mask(make_box: Any) -> Any:
    """A prompt by a mask: the square of the clip."""

    def make(object_id: int, **fields: Any) -> PromptIn:
        pixels = np.zeros((48, 64), dtype=np.uint8, order="F")
        pixels[16:32, 8:24] = 1
        counts = coco.encode(pixels)["counts"]
        assert isinstance(counts, bytes)
        plain = make_box(object_id=object_id, **fields).model_dump(exclude={"box"})
        return PromptIn.model_validate(plain | {"mask": {"size": (48, 64), "counts": counts.decode()}})

    return make


def test_stuff_takes_every_pixel_where_it_is_the_only_category(bench: Any, make_mask: Any) -> None:
    spec = bench.create("a", [make_mask(1, stuff="sky"), make_mask(2)], following=ONLY_SKY)
    bench.worker(worker_lease_s=60.0).run_to_end(spec)
    events = bench.events(spec)
    check_numbering(events)
    first, *later = areas(events, 1)
    assert first < 0.2  # as given
    assert later == [1.0] * 11


def test_stuff_is_stuff_after_a_correction_too(bench: Any, make_mask: Any) -> None:
    spec = bench.create("a", [make_mask(1)], following=ONLY_SKY)
    worker = bench.worker(worker_lease_s=60.0)
    worker.run_until(lambda: bench.state(spec).last_seq > 5)
    bench.send(spec, AddPrompt(prompt=make_mask(1, stuff="sky")))
    worker.run_to_end(spec)
    assert areas(bench.events(spec), 1, run_id=2)[1:] == [1.0] * 11


@pytest.mark.parametrize(
    ("following", "word"), [(Following(), "stuff_vocabulary"), (Following(stuff_vocabulary=["road"]), "sky")]
)
def test_stuff_of_no_known_category_is_refused(bench: Any, make_mask: Any, following: Following, word: str) -> None:
    spec = bench.create("a", [make_mask(1, stuff="sky"), make_mask(2)], following=following)
    bench.worker(worker_lease_s=60.0).run_to_end(spec)
    (refused,) = [event for event in bench.events(spec) if event["type"] == "prompt.refused"]
    assert word in refused["problem"]["detail"]
    assert len(areas(bench.events(spec), 2)) == 12
