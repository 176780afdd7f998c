from dataclasses import replace

import pytest
from tests.model.inference.entities.streams import credulous, frames, network, opened, run, vocabulary

from univs.errors import SnapshotError
from univs.inference.entities import snapshot
from univs.inference.entities.options import EntityOptions, released_vps, released_vss
from univs.types import Clip

PAPER = credulous()
VPS = credulous(released_vps())
VPS = replace(VPS, inference=replace(VPS.inference, clip_length=3), answer_block=4)
VSS = credulous(released_vss())
VSS = replace(VSS, inference=replace(VSS.inference, clip_length=3, clip_stride=2))


@pytest.mark.parametrize("options", [PAPER, VPS, VSS], ids=["paper", "vps", "vss"])
@pytest.mark.parametrize("cut", [1, 4, 8])
def test_a_restored_segmenter_goes_on_with_the_same_answers(options: EntityOptions, cut: int) -> None:
    uninterrupted = run(expected := opened(options), 10)
    segmenter = opened(options)
    results = segmenter.step(Clip(tuple(frames(0, cut))))
    blob = snapshot.take(segmenter)
    restored = snapshot.restore(blob, network(), vocabulary(), options)
    assert snapshot.take(restored) == blob
    results += restored.step(Clip(tuple(frames(restored.next_frame, 10)))) + restored.finish()
    assert results == uninterrupted
    assert restored.ranking() == expected.ranking()


def test_a_snapshot_of_other_names_or_options_is_refused() -> None:
    blob = snapshot.take(opened(PAPER))
    with pytest.raises(SnapshotError, match="with names"):
        snapshot.restore(blob, network(), vocabulary(3), PAPER)
    with pytest.raises(SnapshotError, match="with options"):
        snapshot.restore(blob, network(), vocabulary(), VPS)


def test_bytes_that_are_no_snapshot_are_refused() -> None:
    with pytest.raises(SnapshotError, match="not"):
        snapshot.restore(b"nothing", network(), vocabulary(), PAPER)
