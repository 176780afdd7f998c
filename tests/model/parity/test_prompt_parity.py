import torch
from tests.model.parity.fixtures import DTYPES, assert_as_published, needs_fixtures, read
from tests.model.parity.network import clip, network

from univs.layers.position_encoding import encode_points
from univs.prompt_encoder import Canvas, CellChoice, SamplerOptions, sample_masks, sample_prompts
from univs.types import BoxPrompt, PointPrompt

pytestmark = needs_fixtures

CANVAS = Canvas((96, 128), (96, 128), (12, 16))
FIRST_FRAME = torch.tensor([0])


@DTYPES
def test_masks_are_sampled_as_published(dtype: torch.dtype) -> None:
    fixture = read("visual_sampler")
    level = clip("r50", dtype).levels[2][:, 0]
    for number in (32, 256):
        options = SamplerOptions(number, 0, CellChoice.RASTER)
        tokens = sample_masks(level, fixture["masks"].bool()[None], FIRST_FRAME, options).foreground
        queries = network("r50", dtype).visual_queries(tokens, torch.tensor([[0]]))
        assert queries.tokens.positions is not None
        features, positions = queries.tokens.features[0, :, 0], queries.tokens.positions[0, :, 0]
        if number == 32:
            assert_as_published(features, fixture["mask_R32_feats"])
            assert_as_published(positions, fixture["mask_R32_pe"])
        else:
            assert_as_published(features.mean(dim=1), fixture["mask_R256_feats_mean"])
            assert_as_published(positions.mean(dim=1), fixture["mask_R256_pe_mean"])


@DTYPES
def test_boxes_are_sampled_as_published(dtype: torch.dtype) -> None:
    fixture = read("visual_sampler")
    level = clip("r50", dtype).levels[2][0, 0]
    options = SamplerOptions(32, 0, CellChoice.RASTER)
    for index, (left, top, right, bottom) in enumerate(fixture["boxes_xyxy_norm"].tolist()):
        prompt = BoxPrompt(1, 0, (left, top, right, bottom))
        tokens = sample_prompts(level, 0, [prompt], CANVAS, options).foreground
        assert_as_published(tokens.features[0], fixture["box_R32_feats"][index])


@DTYPES
def test_points_are_sampled_as_published(dtype: torch.dtype) -> None:
    fixture = read("visual_sampler")
    level = clip("r50", dtype).levels[2][0, 0]
    options = SamplerOptions(32, 0, CellChoice.RASTER)
    for index in (0, 1):  # the third lies outside the picture
        x, y = fixture["points_xy_norm"][index].tolist()
        tokens = sample_prompts(level, 0, [PointPrompt(1, 0, ((x, y),), (True,))], CANVAS, options).foreground
        assert_as_published(tokens.features[0], fixture["point_feats"][index].expand(32, -1))
    positions = encode_points(fixture["points_xy_norm"][:2], FIRST_FRAME, level[:, 0, 0])
    assert_as_published(positions, fixture["point_pe"][:2])


@DTYPES
def test_expressions_become_queries_as_published(dtype: torch.dtype) -> None:
    fixture, text = read("text_prompt_encoder"), read("expression_prompt")
    sentences, words = text["sentence_feats"].to(dtype)[None], text["word_feats"].to(dtype)[None]
    nothing = torch.zeros(1, 2, dtype=torch.bool)
    queries = network("r50", dtype).text_queries.expressions(clip("r50", dtype), sentences, words, nothing)
    tokens = queries.tokens.features[0].transpose(1, 2)  # [Q, L, T, C]
    assert_as_published(queries.content[0], fixture["query_content"])
    assert_as_published(queries.position[0], fixture["query_pos"])
    assert_as_published(tokens[:, :8], fixture["tokens_first8_of_78"])
    assert_as_published(tokens.mean(dim=1), fixture["tokens_mean"])
