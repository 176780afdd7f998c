from dataclasses import replace

import torch

from univs.config import tiny
from univs.expression_decoding import ExpressionDecodeOptions, decode_expressions, decode_queries
from univs.model import UniVS
from univs.prompt_encoder.text import TextFeatures
from univs.types import ClipFeatures


def network() -> UniVS:
    torch.manual_seed(0)
    return UniVS(tiny()).double().eval().requires_grad_(False)


def clip(model: UniVS) -> ClipFeatures:
    torch.manual_seed(1)
    images = torch.randint(0, 256, (1, 1, 3, 64, 96)).double()
    return model.encode_frames(images, torch.tensor([[0]]))


def texts(number: int = 2, num_words: int = 4) -> TextFeatures:
    torch.manual_seed(2)
    width = tiny().text_dim
    return TextFeatures(torch.randn(number, width).double(), torch.randn(number, num_words, width).double())


def test_places_beyond_an_expression_change_nothing() -> None:
    model = network()
    features, short = clip(model), texts()
    beyond = torch.randn(2, 3, tiny().text_dim).double()
    is_padding = torch.tensor([[False] * 4 + [True] * 3] * 2)
    long = TextFeatures(short.sentences, torch.cat([short.words, beyond], dim=1), is_padding)
    one, other = (
        decode_expressions(model, features, given, None, ExpressionDecodeOptions()) for given in (short, long)
    )
    torch.testing.assert_close(one.mask_logits, other.mask_logits, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(one.presence_logits, other.presence_logits, atol=1e-9, rtol=1e-9)
    counted = replace(long, is_padding=None)
    unmasked = decode_expressions(model, features, counted, None, ExpressionDecodeOptions())
    assert not torch.allclose(one.mask_logits, unmasked.mask_logits)


def test_joined_texts_keep_their_rows_and_their_padding() -> None:
    first, second = texts(1), texts(2)
    padding = torch.tensor([[False, True, True, True]])
    joined = TextFeatures.join(
        [replace(first, is_padding=padding), replace(second, is_padding=padding.expand(2, -1))], torch.float32
    )
    assert joined.sentences.dtype is torch.float32
    assert joined.words.shape[:2] == (3, 4)
    assert joined.is_padding is not None
    assert joined.is_padding.tolist() == [[False, True, True, True]] * 3
    assert TextFeatures.join([first, second], torch.float32).is_padding is None


def test_an_unused_slot_changes_no_other_and_earlier_layers_are_given_on_request() -> None:
    model = network()
    features, given = clip(model), texts(3)
    sentences, words = given.sentences[None], given.words[None]
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    options = ExpressionDecodeOptions()
    full = decode_queries(model, features, model.text_queries.expressions(features, sentences, words, nothing), options)
    unused = torch.tensor([[False, False, True]])
    queries = model.text_queries.expressions(features, sentences, words, unused)
    partial = decode_queries(model, features, queries, options, with_auxiliary=True)
    torch.testing.assert_close(full.mask_logits[:, :2], partial.mask_logits[:, :2], atol=1e-9, rtol=1e-9)
    assert full.auxiliary == ()
    assert len(partial.auxiliary) == tiny().mask_decoder.num_layers
