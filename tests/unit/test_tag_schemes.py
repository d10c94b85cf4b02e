"""Tag schemes: conversions, repairs, detection, and round trips of random tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.tag_schemes import (
    Span,
    detect_scheme,
    runs_to_bio,
    spans_of,
    tags_from_spans,
    to_bio,
    to_bioes,
    to_iob1,
    type_of,
    violations,
)

TYPES = st.sampled_from(["per", "loc", "geo-loc", "B"])
LETTERS = st.sampled_from(["B", "I", "E", "S"])
ANY_TAGS = st.lists(st.one_of(st.just("O"), st.builds("{}-{}".format, LETTERS, TYPES)), max_size=12)


@st.composite
def sentence_spans(draw) -> tuple[list[Span], int]:
    """Disjoint spans from left to right, and a length that holds them."""
    spans, position = [], 0
    for _ in range(draw(st.integers(0, 5))):
        start = position + draw(st.integers(0, 2))
        position = start + draw(st.integers(1, 4))
        spans.append(Span(start, position, draw(TYPES)))
    return spans, position + draw(st.integers(0, 2))


@given(sentence_spans())
def test_spans_survive_every_scheme(case) -> None:
    spans, length = case
    bio = tags_from_spans(spans, length)
    assert spans_of(bio) == spans and len(bio) == length
    for convert, scheme in ((list, "bio"), (to_bioes, "bioes"), (to_iob1, "iob1")):
        written = convert(bio)
        assert spans_of(written) == spans
        assert to_bio(written, scheme) == (bio, 0)


@given(ANY_TAGS, st.sampled_from(["bio", "iob1", "bioes"]))
def test_any_tags_become_valid_once(tags, scheme) -> None:
    bio, repairs = to_bio(tags, scheme)
    assert spans_of(bio) == spans_of(tags)
    assert to_bio(bio, "bio") == (bio, 0)
    assert repairs == len(violations(tags, scheme)) <= len(tags)
    for before, tag in zip(["O", *bio], bio, strict=False):
        assert tag[0] in "OB" or (before[0] in "BI" and type_of(before) == type_of(tag))


@pytest.mark.parametrize(
    ("scheme", "tags", "expected", "wrong"),
    [
        ("bio", "O I-x I-x", "O B-x I-x", [1]),
        ("bio", "B-x I-y I-y O", "B-x B-y I-y O", [1]),
        ("bio", "B-x E-x S-x", "B-x I-x B-x", [1, 2]),
        ("iob1", "I-x I-x B-x O", "B-x I-x B-x O", []),
        ("iob1", "O B-x I-x", "O B-x I-x", [1]),
        ("iob1", "I-x I-y", "B-x B-y", []),
        ("bioes", "S-x B-x I-x E-x", "B-x B-x I-x I-x", []),
        ("bioes", "B-x O E-x", "B-x O B-x", [0, 2]),
        ("bioes", "B-x I-x O", "B-x I-x O", [1]),
        ("bioes", "S-x I-x", "B-x B-x", [1]),
        ("bioes", "B-x M-x L-x U-x W-x", "B-x I-x I-x B-x B-x", []),
        ("bio", "B I O I", "B I O B", [3]),
    ],
)
def test_repairs_by_hand(scheme, tags, expected, wrong) -> None:
    assert to_bio(tags.split(), scheme) == (expected.split(), len(wrong))
    assert violations(tags.split(), scheme) == wrong


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        (["B-x I-x O B-y"], "bio"),
        (["O O"], "bio"),
        (["I-x I-x O I-y", "I-x B-x"], "iob1"),
        (["B-x O", "B-y I-y", "I-x"], "bio"),
        (["B-x E-x O S-y"], "bioes"),
        (["B-x L-x O U-y"], "bioes"),
        (["person O O", "person loc O"], "none"),
        (["NOUN VERB", "X PUNCT"], "none"),
        (["B-x O OO"], "bio"),
    ],
)
def test_detection(sentences, scheme) -> None:
    assert detect_scheme([tags.split() for tags in sentences]) == scheme


def test_runs_of_types() -> None:
    found = runs_to_bio(["person", "person", "O", "geo-loc", "person"])
    assert found == ["B-person", "I-person", "O", "B-geo-loc", "B-person"]


def test_tags_without_a_letter_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'PER' is no span tag; expected O, or B-"):
        spans_of(["O", "PER"])


@pytest.mark.parametrize(
    "spans", [[Span(0, 3, "x")], [Span(1, 1, "x")], [Span(0, 2, "x"), Span(1, 2, "y")]]
)
def test_spans_that_do_not_fit_are_refused(spans) -> None:
    with pytest.raises(ValueError, match=r"does not fit"):
        tags_from_spans(spans, 2)
