from dataclasses import replace

import torch
from torch import Tensor

from univs.layers.position_encoding import encode_cells
from univs.prompt_encoder import InitialQuery, QueryOptions, TextQueryEncoder, VisualQueryEncoder, VisualTokens
from univs.prompt_encoder.tokens import mark_negative
from univs.types import ClipFeatures

GRID = (6, 8)
FRAMES = torch.tensor([[4, 5, 6]])


def encoder() -> VisualQueryEncoder:
    torch.manual_seed(0)
    return VisualQueryEncoder(16).double().requires_grad_(False)


def remembered(cells: list[list[int]], frames: list[int]) -> VisualTokens:
    """Tokens of one object: [1, 1, P, R]."""
    places = torch.tensor(cells)[None, None]
    features = torch.randn(1, 1, *places.shape[2:], 16, dtype=torch.float64)
    features = features.masked_fill((places == -1)[..., None], 0)
    index = torch.tensor(frames)[None, None]
    return VisualTokens(features, places, index, index, GRID)


def test_the_query_is_the_mean_of_all_remembered_tokens() -> None:
    network = encoder()
    tokens = remembered([[3, 9], [12, -1], [-1, -1]], [0, 3, -1])
    queries = network(tokens, FRAMES)
    mean = tokens.features[0, 0].flatten(0, 1).sum(dim=0) / 3
    torch.testing.assert_close(queries.content[0, 0, 2], mean + network.task)
    places = encode_cells(torch.tensor([3, 9, 12]), torch.tensor([0, 0, 3]), GRID, tokens.features)
    torch.testing.assert_close(queries.position[0, 0, 0], places.mean(dim=0))


def test_the_released_query_is_the_mean_of_the_newest_frame_at_or_before_its_own() -> None:
    network = encoder()
    tokens = remembered([[3, 9], [12, 13], [20, 21]], [0, 4, 6])
    queries = network(tokens, FRAMES, options=QueryOptions(InitialQuery.LATEST))
    means = tokens.features[0, 0].mean(dim=1) + network.task
    torch.testing.assert_close(queries.content[0, 0], means[[1, 1, 2]])


def test_a_frame_that_is_first_and_in_the_ring_counts_once() -> None:
    network = encoder()
    once = remembered([[3, 9]], [0])
    features = torch.cat([once.features, once.features + 1], dim=2)
    index = torch.tensor([[[0, 0]]])
    twice = VisualTokens(features, once.cells.repeat(1, 1, 2, 1), index, index, GRID)
    options = QueryOptions(InitialQuery.LATEST)
    assert torch.equal(network(once, FRAMES, options=options).content, network(twice, FRAMES, options=options).content)


def test_blanks_are_left_out_or_attend_as_zeros() -> None:
    network = encoder()
    tokens = remembered([[3, -1], [-1, -1]], [0, 4])
    ours = network(tokens, FRAMES).tokens
    released = network(tokens, FRAMES, options=QueryOptions(blanks_attend=True)).tokens
    assert ours.is_padding.flatten().tolist() == [False, True, True, True]
    assert not released.is_padding.any()
    assert (released.features[0, 0, 0, 1:] == 0).all()
    assert released.positions is not None
    assert (released.positions[0, 0, 0, 1:] == 0).all()


def test_slots_without_a_frame_attend_to_nothing_in_either_way() -> None:
    tokens = remembered([[3, -1], [-1, -1]], [0, -1])
    released = encoder()(tokens, FRAMES, options=QueryOptions(blanks_attend=True)).tokens
    assert released.is_padding.flatten().tolist() == [False, False, True, True]


def test_an_object_without_tokens_has_the_task_as_its_query() -> None:
    network = encoder()
    queries = network(remembered([[-1, -1]], [-1]), FRAMES)
    assert torch.equal(queries.content[0, 0, 0], network.task)


def test_negative_tokens_are_marked_and_stay_out_of_the_mean() -> None:
    network = encoder()
    tokens = remembered([[3, 9]], [0])
    cells = torch.stack([tokens.cells[..., 0], mark_negative(tokens.cells[..., 1])], dim=-1)
    queries = network(replace(tokens, cells=cells), FRAMES)
    torch.testing.assert_close(queries.content[0, 0, 0], tokens.features[0, 0, 0, 0] + network.task)
    marked = tokens.features[0, 0, 0, 1] + network.negative
    torch.testing.assert_close(queries.tokens.features[0, 0, 0, 1], marked)
    plain = network(tokens, FRAMES).tokens
    assert queries.tokens.positions is not None
    assert plain.positions is not None
    assert torch.equal(queries.tokens.positions, plain.positions)


def clip() -> ClipFeatures:
    levels = tuple(torch.randn(1, 2, 16, 3 * scale, 2 * scale, dtype=torch.float64) for scale in (1, 2, 4))
    return ClipFeatures(levels, torch.randn(1, 2, 16, 24, 16).double(), torch.tensor([[0, 1]]), (96, 64))


def text_queries() -> TextQueryEncoder:
    torch.manual_seed(0)
    return TextQueryEncoder(16, 32, num_heads=2).double().requires_grad_(False)


def test_text_tokens_have_no_place_and_the_sentence_leads() -> None:
    sentences, words = (torch.randn(1, 3, *shape, dtype=torch.float64) for shape in ((32,), (7, 32)))
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    network = text_queries()
    queries = network.expressions(clip(), sentences, words, nothing)
    assert queries.tokens.positions is None
    assert queries.tokens.features.shape == (1, 3, 2, 8, 16)
    torch.testing.assert_close(queries.position, queries.tokens.features[:, :, :, 0])
    torch.testing.assert_close(queries.content, queries.position + network.expression_task)


def test_without_the_picture_all_frames_have_the_same_tokens() -> None:
    names = torch.randn(1, 3, 32, dtype=torch.float64)
    nothing = torch.zeros(1, 3, dtype=torch.bool)

    def tokens(*, attend_image: bool) -> Tensor:
        return text_queries().categories(clip(), names, nothing, attend_image=attend_image).tokens.features

    blind = tokens(attend_image=False)
    assert torch.equal(blind[:, :, 0], blind[:, :, 1])
    assert not torch.equal(*tokens(attend_image=True).unbind(dim=2))
