import itertools

import pytest

from pipelines.datasets.tag_schemes import tags_from_spans, to_bio, to_bioes
from pipelines.errors import DataError
from pipelines.layers.tag_constraints import allowed_transitions

TAGS = {
    "bio": ("O", "B-x", "I-x", "B-y", "I-y"),
    "bioes": ("O", "B-x", "I-x", "E-x", "S-x", "B-y", "E-y", "S-y"),
}


def legal(sequence, tags, rules):
    places = [tags.index(tag) for tag in sequence]
    return (
        rules.start[places[0]]
        and rules.end[places[-1]]
        and all(rules.transitions[i][j] for i, j in itertools.pairwise(places))
    )


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_what_is_legal_is_what_the_reader_need_not_mend(scheme, length):
    tags = TAGS[scheme]
    rules = allowed_transitions(tags, scheme)
    for sequence in itertools.product(tags, repeat=length):
        bio, repairs = to_bio(sequence, scheme)
        mended = repairs > 0 or (to_bioes(bio) if scheme == "bioes" else bio) != list(sequence)
        assert legal(sequence, tags, rules) == (not mended), sequence


def test_everything_follows_everything_without_a_scheme():
    rules = allowed_transitions(("NOUN", "VERB"), "none")
    assert rules == ([True, True], [[True, True], [True, True]], [True, True])


def test_letters_alone_are_a_scheme_of_one_type():
    tags = ("O", "B", "I")
    assert legal(tags_from_spans([], 2), tags, allowed_transitions(tags, "bio"))
    assert not legal(("O", "I"), tags, allowed_transitions(tags, "bio"))


@pytest.mark.parametrize(
    ("tags", "scheme", "message"),
    [
        (
            ("O", "NOUN"),
            "bio",
            "tag set: 'NOUN' is not a tag of the scheme 'bio'; expected O, or one of B, I with a "
            "type (such as B-person); convert the tags, or use the scheme 'none'",
        ),
        (
            ("O", "S-x"),
            "bio",
            "tag set: 'S-x' is not a tag of the scheme 'bio'; expected O, or one of B, I with a "
            "type (such as B-person); convert the tags, or use the scheme 'none'",
        ),
        (
            ("B-x", "E-x"),
            "bioes",
            "tag set: no sequence of 1 tag(s) is legal in the scheme 'bioes'; got the tags B-x, "
            "E-x; expected 'O' or a tag that is a span by itself among them; add 'O'",
        ),
    ],
)
def test_tag_sets_that_cannot_be_are_named(tags, scheme, message):
    with pytest.raises(DataError) as caught:
        allowed_transitions(tags, scheme)
    assert str(caught.value) == message
