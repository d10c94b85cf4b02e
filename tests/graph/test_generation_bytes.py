"""Texts written byte by byte: no request ends within a character."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.language.generation import Generation
from pipelines.language.generation_text import BlockTexts
from pipelines.text.tokenizer import Tokenizer
from tests.graph.tiny_language import TinyLanguage, choices, compiled

BYTES = Tokenizer(level="byte", lowercase=False)


def bytes_of(data):
    return [value + 4 for value in data]


@pytest.fixture(scope="module")
def writer():
    """Two of three bytes it writes begin or continue a long character."""
    bias = np.full(260, -5.0)
    bias[bytes_of([0x61, 0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80])] = 3.0
    return compiled(Generation(TinyLanguage(260, spread=0.3, bias=bias), BYTES, block=5))


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(min_size=1, max_size=12) | st.binary(min_size=1, max_size=12),
    cuts=st.lists(st.integers(0, 48), max_size=6),
)
def test_blocks_of_bytes_join_and_cut_no_character(text, cuts):
    data = text.encode() if isinstance(text, str) else text
    texts, history = BlockTexts(BYTES), np.zeros((1, 8), "int32")
    shown = b""
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    for start, end in itertools.pairwise(places):
        tokens = np.array([bytes_of(data[start:end])], "int32")
        after = np.concatenate([history, tokens], axis=1)[:, -8:]
        lengths = np.array([end - start], "int32")
        block = texts.write(*map(tf.constant, (history, tokens, lengths, after))).numpy()[0]
        if isinstance(text, str):
            block.decode()
        shown, history = shown + block, after
    held = int(texts.held(tf.constant(history))[0])
    assert shown == data[: len(data) - held]
    assert not (isinstance(text, str) and held)
    whole = texts.whole(tf.constant([bytes_of(data)]), tf.constant([len(data)])).numpy()[0]
    assert whole == shown


def test_a_byte_writer_streams_the_text_it_writes_at_once(writer):
    cuts = choices(1, length=60, temperature=1.0)
    one = choices(1, length=1, temperature=1.0)
    once = writer["generate"](prompt=["é"], **cuts)["text"][0]
    state, text = writer["begin"](prompt=["é"])["state"], b""
    for position in range(60):
        place = np.array([position], "int32")
        found = writer["write_on"](state=state, position=place, **one)
        state, text = found["state"], text + found["text"][0]
    assert text == once
    assert any(byte > 0x7F for byte in once)


def test_bytes_of_a_prompt_that_ends_within_a_character_come_not_again(writer):
    whole = writer["generate"](prompt=[b"a\xe2"], **choices(1, length=30))
    assert len(whole["text"][0]) in range(27, 31)
    assert whole["tokens"][0] == 30
