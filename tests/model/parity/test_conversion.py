import pytest
import torch
from tests.model.parity.fixtures import needs_fixtures
from tests.model.parity.network import VARIANTS, layout

from univs.convert import convert_published
from univs.errors import WeightsMismatchError
from univs.model import UniVS

pytestmark = needs_fixtures

REID = "sem_seg_head.predictor.reid_temp.weight"


@pytest.mark.parametrize("name", VARIANTS)
def test_every_tensor_of_both_sides_is_accounted_for(name: str) -> None:
    published = {key: torch.empty(shape, device="meta") for key, shape in layout(name).items()}
    with torch.device("meta"):
        model = UniVS(VARIANTS[name])
    conversion = convert_published(published, model.state_dict())
    assert conversion.left_alone == ("visual_queries.negative",)  # negative clicks are not in the paper
    assert {key for key in conversion.not_needed if not key.endswith("relative_position_index")} == {REID}
    model.load_state_dict(conversion.state, strict=False, assign=True)


def test_averages_are_taken_on_request() -> None:
    with torch.device("meta"):
        model = UniVS(VARIANTS["r50"])
        published = {key: torch.empty(shape) for key, shape in layout("r50").items()}
    averages = {key.replace("backbone.", "backbone_t.", 1): value for key, value in published.items()}
    averages = {key.replace("sem_seg_head.", "sem_seg_head_t.", 1): value for key, value in averages.items()}
    both = published | averages
    plain = convert_published(both, model.state_dict())
    averaged = convert_published(both, model.state_dict(), use_averages=True)
    assert len(plain.not_needed) == len(averages) + 1
    assert averaged.left_alone == ("visual_queries.negative",)


def test_another_variant_is_refused() -> None:
    with torch.device("meta"):
        model = UniVS(VARIANTS["swint"])
        published = {key: torch.empty(shape) for key, shape in layout("r50").items()}
    with pytest.raises(WeightsMismatchError, match="choose the variant"):
        convert_published(published, model.state_dict())
