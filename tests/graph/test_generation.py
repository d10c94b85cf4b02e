"""Texts written in the graph against a slow NumPy writer; blocks, bytes, prompts, beams."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.language.generation import HISTORY, Generation
from pipelines.language.generation_uniforms import threefry, uniforms
from pipelines.layers.decoding import SampleSettings
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import BOS, EOS, PAD, UNK
from tests import reference_decoding as reference
from tests.graph.tiny_language import LETTERS, SIZE, TinyLanguage, choices, compiled, letters

CLOSE = 1e-5


@pytest.fixture(scope="module")
def tiny():
    return TinyLanguage(SIZE)


@pytest.fixture(scope="module")
def writer(tiny):
    return compiled(Generation(tiny, letters(), block=7))


def numbers(text):
    return [LETTERS.index(letter) + 4 for letter in text]


def slowly(model, prompt, gap, *, length, seed, **cuts):
    """Write on in plain Python: text, and whether it ended by itself."""
    rules = SampleSettings(banned=(PAD, UNK, BOS), **cuts)
    drawn = uniforms(tf.fill([length], int(seed)), tf.range(length)).numpy()
    ids, start = numbers(prompt), len(prompt)
    for place in range(length):
        logits = model.logits(ids)[-1].tolist()
        allowed = reference.continuations(logits, tuple(ids[-HISTORY:]), rules)
        ids.append(reference.draw(logits, allowed, rules, float(drawn[place]), gap))
        if ids[-1] == EOS:
            return "".join(LETTERS[token - 4] for token in ids[start:-1]), True
    return "".join(LETTERS[token - 4] for token in ids[start:]), False


@settings(max_examples=25, deadline=None)
@given(
    prompt=st.text(LETTERS, max_size=80),
    length=st.integers(1, 20),
    temperature=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    top_k=st.sampled_from([0, 1, 4]),
    top_p=st.sampled_from([1.0, 0.7]),
    repetition_penalty=st.sampled_from([1.0, 1.5]),
    seed=st.integers(-(2**31), 2**31 - 1),
)
def test_a_text_is_what_the_slow_writer_writes(tiny, writer, prompt, **cuts):
    gap = reference.Gap()
    expected = slowly(tiny, prompt, gap, **cuts)
    found = writer["generate"](prompt=[prompt, "ab"], **choices(2, **cuts))
    if gap.smallest > CLOSE:
        assert (found["text"][0].decode(), found["complete"][0]) == expected
        assert found["tokens"][0] == len(expected[0]) + expected[1]


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(
        st.tuples(st.integers(0, 19), st.integers(0, 19), st.integers(0, 19)), max_size=5
    ),
    seed=st.integers(0, 99),
)
def test_requests_of_any_sizes_join_to_the_text_written_at_once(writer, sizes, seed):
    prompts = ["", "abc", "h.b " * 40]
    cuts = choices(
        3, temperature=[0.0, 0.8, 1.5], top_k=[0, 0, 6], repetition_penalty=[1.3, 1.0, 1.2],
        seed=seed + np.arange(3),
    )  # fmt: skip
    state = writer["begin"](prompt=prompts)["state"]
    position, texts = np.zeros(3, "int32"), [b""] * 3
    for length in sizes:
        cuts["length"] = np.array(length, "int32")
        found = writer["write_on"](state=state, position=position, **cuts)
        state, position = found["state"], position + found["tokens"]
        texts = [text + more for text, more in zip(texts, found["text"], strict=True)]
    cuts["length"] = np.array(sizes, "int32").reshape(-1, 3).sum(0).astype("int32")
    once = writer["generate"](prompt=prompts, **cuts)
    assert list(once["text"]) == texts
    np.testing.assert_array_equal(once["tokens"], position)


def test_a_row_writes_the_same_alone_and_in_any_batch(writer):
    cuts = choices(8, length=60, temperature=np.linspace(0.2, 2, 8), top_k=[0, 3] * 4,
                   top_p=[1.0, 1.0, 0.8, 0.8] * 2)  # fmt: skip
    prompts = ["abcdefgh"[:row] for row in range(8)]
    together = writer["generate"](prompt=prompts, **cuts)
    for row in range(8):
        own = {name: values[row : row + 1] for name, values in cuts.items()}
        alone = writer["generate"](prompt=prompts[row : row + 1], **own)
        assert alone["text"][0] == together["text"][row]
    assert len(set(together["text"])) == 8


def test_a_seed_writes_one_text_and_another_seed_another(writer):
    texts = writer["generate"](prompt=["a"] * 4, **choices(4, seed=[1, 1, 2, -1]))["text"]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


def test_a_length_of_0_or_less_writes_nothing(writer):
    found = writer["generate"](prompt=["a", "b", "c"], **choices(3, length=[0, -5, 4]))
    assert list(found["text"][:2]) == [b"", b""] and len(found["text"][2]) == 4
    assert not found["complete"].any()
    assert writer["generate"](prompt=[], **choices(0))["text"].shape == (0,)


def test_a_text_that_has_ended_is_written_on_no_more():
    bias = np.where(np.arange(SIZE) == EOS, 8.0, 0.0)
    writer = compiled(Generation(TinyLanguage(SIZE, bias=bias), letters()))
    state = writer["begin"](prompt=["abc"])["state"]
    first = writer["write_on"](state=state, position=np.zeros(1, "int32"), **choices())
    assert first["complete"][0] and first["tokens"][0] == len(first["text"][0]) + 1
    again = writer["write_on"](state=first["state"], position=first["tokens"], **choices())
    assert (again["text"][0], again["tokens"][0], again["complete"][0]) == (b"", 0, True)
    np.testing.assert_array_equal(again["state"], first["state"])


def test_tokenizers_that_add_ends_give_the_same_prompt(tiny, writer):
    ends = Tokenizer(letters().vocabulary, level="char", lowercase=False, add_bos=True,
                     add_eos=True)  # fmt: skip
    other = compiled(Generation(tiny, ends))
    ours, theirs = (one["begin"](prompt=["", "abc"])["state"] for one in (writer, other))
    np.testing.assert_array_equal(ours, theirs)


def test_a_long_prompt_is_read_as_a_short_one(tiny, writer):
    prompt = "abc. " * 1000
    state = writer["begin"](prompt=[prompt, "a"])["state"]
    hidden = np.zeros(tiny.units)
    for token in (BOS, *numbers(prompt[:-1])):
        hidden = np.tanh(tiny.input[token] + hidden @ tiny.inner)
    np.testing.assert_allclose(state[0, : tiny.units], hidden, atol=1e-4)
    assert state[0, tiny.units] == len(prompt)  # BOS and all but the last were read
    assert state[1, tiny.units] == 1


@pytest.mark.parametrize("prompt", ["", "abc"])
def test_completions_are_the_most_probable_ones(tiny, writer, prompt):
    found = writer["complete"](prompt=[prompt, "h"], length=np.array([2, 5], "int32"))
    totals = found["log_probability"][0]
    assert (np.diff(totals) <= 0).all()
    every = {}
    first = reference.log_softmax(tiny.logits(numbers(prompt))[-1].tolist())
    for letter in LETTERS:
        ids = numbers(prompt + letter)
        second = reference.log_softmax(tiny.logits(ids)[-1].tolist())
        for other in (*LETTERS, ""):
            token = numbers(other)[0] if other else EOS
            every[letter + other, not other] = first[ids[-1]] + second[token]
    every["", True] = first[EOS]
    texts = zip(found["texts"][0], found["complete"][0], strict=True)
    for (text, complete), total in zip(texts, totals, strict=True):
        assert total == pytest.approx(every[text.decode(), complete], abs=1e-4)
    # Ten beams hold all first letters, so nothing better was missed.
    np.testing.assert_allclose(totals, sorted(every.values(), reverse=True)[:10], atol=1e-4)
    assert max(map(len, found["texts"][1])) == 5


def test_uniforms_are_those_of_threefry():
    words = (tf.constant([0, 0xFFFFFFFF, 0x13198A2E], tf.uint32),
             tf.constant([0, 0xFFFFFFFF, 0x03707344], tf.uint32))  # fmt: skip
    counter = (tf.constant([0, 0xFFFFFFFF, 0x243F6A88], tf.uint32),
               tf.constant([0, 0xFFFFFFFF, 0x85A308D3], tf.uint32))  # fmt: skip
    left, right = threefry(words, counter)
    # The known answers of Salmon et al.'s library, threefry2x32 with 20 rounds.
    assert [hex(value) for value in left.numpy()] == ["0x6b200159", "0x1cb996fc", "0xc4923a9c"]
    assert [hex(value) for value in right.numpy()] == ["0x99ba4efe", "0xbb002be7", "0x483df7a0"]


def test_uniforms_are_even_and_hang_on_seed_and_position_alone():
    drawn = uniforms(tf.range(-50, 50)[:, None], tf.range(1000)[None]).numpy()
    assert drawn.min() > 0 and drawn.max() < 1
    counts, _ = np.histogram(drawn, 20, (0, 1))
    assert abs(counts / 5000 - 1).max() < 0.06
    assert abs(np.corrcoef(drawn)[np.triu_indices(100, 1)]).max() < 0.15
    np.testing.assert_array_equal(uniforms(tf.constant([7]), tf.constant([3])), drawn[57, 3])
