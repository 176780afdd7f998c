"""Pickles are read as data: what is plain comes out as it went in, what would run is refused and does not run."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from univs.data.formats.plain_pickle import read_plain_pickle
from univs.errors import InputError

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
_PLAIN = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=12,
)


@given(content=_PLAIN, protocol=st.integers(3, pickle.HIGHEST_PROTOCOL))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_plain_content_comes_out_as_it_went_in(tmp_path: Path, content: Any, protocol: int) -> None:
    path = tmp_path / "plain.p"
    path.write_bytes(pickle.dumps(content, protocol))
    assert read_plain_pickle(path) == content


def test_texts_of_python_2_are_read(tmp_path: Path) -> None:
    """A list of a mapping with byte strings, as `cPickle.dump(refs, file)` and its protocol 2 wrote them."""
    path = tmp_path / "refs.p"
    path.write_bytes(
        b"(lp1\n(dp2\nS'split'\np3\nS'val'\np4\nsS'sent'\np5\nS'caf\\xc3\\xa9'\np6\nsS'ids'\np7\n(I1\nI2\ntp8\nsa."
    )
    assert read_plain_pickle(path) == [{"split": "val", "sent": "café", "ids": (1, 2)}]
    path.write_bytes(b"\x80\x02]q\x01}q\x02(U\x05splitq\x03U\x05trainq\x04U\x02idq\x05K\x07ua.")
    assert read_plain_pickle(path) == [{"split": "train", "id": 7}]


class _Writes:
    """Something that writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "it ran"
    path = tmp_path / "evil.p"
    path.write_bytes(pickle.dumps([{"split": "train"}, _Writes(mark)], protocol))
    with pytest.raises(InputError, match="containers, texts and numbers"):
        read_plain_pickle(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # a call by name
        b"(S'true'\nios\nsystem\n.",  # the same by INST
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",  # the same by STACK_GLOBAL
        b"\x80\x02\x82\x01.",  # an extension of copyreg
        b"P1\n.",  # a reference to something outside
        b"\x80\x02]q\x01}q\x02b.",  # a state for a list
        b"\x80\x02](K\x01K\x02",  # cut short
        b"",
        b"no pickle at all",
        pickle.dumps(OrderedDict(a=1)),
        pickle.dumps(bytearray(b"1"), 2),  # protocol 2 has no opcode for it
    ],
)
def test_anything_that_is_not_plain_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.p"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"some\.p"):
        read_plain_pickle(path)


@given(content=st.binary(max_size=60))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.p"
    path.write_bytes(content)
    try:
        read_plain_pickle(path)
    except InputError as error:
        assert str(path) in str(error)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_plain_pickle(tmp_path / "refs(unc).p")
