import pytest
import torch
from tests.model.published import PREDICTOR, averages_of, published_state
from torch import Tensor

from univs.config import UniVSConfig, r50, swin_b, swin_l, swin_t
from univs.convert import convert_published, guess_variant
from univs.errors import WeightsMismatchError
from univs.model import UniVS

VARIANTS = {"r50": r50(), "swin_t": swin_t(), "swin_b": swin_b(), "swin_l": swin_l()}
NEGATIVE = "visual_queries.negative"


def ours(config: UniVSConfig) -> dict[str, Tensor]:
    with torch.device("meta"):
        return UniVS(config).state_dict()


@pytest.mark.parametrize("name", VARIANTS)
def test_the_variant_is_guessed_from_the_shapes(name: str) -> None:
    state = published_state(VARIANTS[name])
    assert guess_variant(state) == name
    assert guess_variant(averages_of(state)) == name


def test_another_network_is_not_guessed() -> None:
    with pytest.raises(WeightsMismatchError, match=r"no backbone among 1 tensors \(weight\)"):
        guess_variant({"weight": torch.zeros(1)})
    patches = {"backbone.patch_embed.proj.weight": torch.zeros(48, 3, 4, 4)}
    with pytest.raises(WeightsMismatchError, match="48 channels"):
        guess_variant(patches)


def test_every_tensor_says_where_it_came_from() -> None:
    published = published_state(r50())
    conversion = convert_published(published, ours(r50()))
    assert set(conversion.sources.values()) | set(conversion.not_needed) == set(published)
    assert conversion.sources.keys() | conversion.missing.keys() == ours(r50()).keys()
    assert conversion.left_alone == (NEGATIVE,)


@pytest.mark.parametrize("lost", ["backbone.res4.3.conv2.weight", f"{PREDICTOR}query_feat.weight"])
def test_a_truncated_checkpoint_is_refused(lost: str) -> None:
    published = published_state(r50())
    del published[lost]
    with pytest.raises(WeightsMismatchError, match=rf"missing \({lost}\); fetch the file again"):
        convert_published(published, ours(r50()))


def test_an_unknown_tensor_is_refused() -> None:
    published = published_state(r50()) | {"backbone.res6.weight": torch.zeros(1)}
    with pytest.raises(WeightsMismatchError, match=r"1 unknown tensors \(backbone.res6.weight\); choose the variant"):
        convert_published(published, ours(r50()))


def test_another_variant_of_the_same_kind_is_refused() -> None:
    with pytest.raises(WeightsMismatchError, match="choose the variant"):
        convert_published(published_state(swin_b()), ours(swin_l()))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_must_be_finite(value: float) -> None:
    published = published_state(r50()) | {f"{PREDICTOR}cls_temp.weight": torch.full((1, 1), value)}
    with pytest.raises(WeightsMismatchError, match="expected finite values in"):
        convert_published(published, ours(r50()))


def test_integers_are_no_weights() -> None:
    published = published_state(r50()) | {f"{PREDICTOR}cls_temp.weight": torch.zeros(1, 1, dtype=torch.int64)}
    with pytest.raises(WeightsMismatchError, match=r"expected floats of shape \(.*\) for"):
        convert_published(published, ours(r50()))


def test_a_network_made_without_attention_from_text_says_so() -> None:
    published = {key: value for key, value in published_state(r50()).items() if "lang2vision" not in key}
    conversion = convert_published(published, ours(r50()))
    lacking = {key for key in conversion.missing if key != NEGATIVE}
    assert lacking
    assert all("text prompts cannot be used" in conversion.missing[key] for key in lacking)


def test_averages_replace_the_weights_on_request() -> None:
    published = published_state(r50())
    both = published | averages_of(published)
    conversion = convert_published(both, ours(r50()), use_averages=True)
    assert conversion.left_alone == (NEGATIVE,)
    assert all(conversion.not_needed[name].startswith(("its running average", "a temperature")) for name in published)


def test_averages_must_be_there() -> None:
    with pytest.raises(WeightsMismatchError, match="expected running averages"):
        convert_published(published_state(r50()), ours(r50()), use_averages=True)
