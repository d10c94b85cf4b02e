"""What exported taggers answer: places, tags, spans and their probabilities."""

import itertools
import random
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from pipelines.datasets.tag_schemes import spans_of, violations
from pipelines.datasets.tagged import TaggedSentence
from pipelines.text import tagger
from pipelines.text.tag_serving import ALTERNATIVES, TagServing, output_names
from pipelines.text.token_features import TokenFeatures, ragged_tokens
from tests.graph.tiny_taggers import FAMILY, ODD_WORDS, artifacts

NAMES = [
    TaggedSentence(
        ("Anna", "Berg", "de", "o", "Rio", "."),
        ("B-n", "I-n", "O", "O", "B-p", "O"),
        surfaces=("Anna", "Berg", "do", "Rio", "."),
        parts=(1, 1, 2, 1, 1),
    ),
    TaggedSentence(("we", "saw", "San", "Juan", "Sur"), ("O", "O", "B-p", "I-p", "I-p")),
    TaggedSentence(("Bo", "left", FAMILY, "שלום"), ("B-n", "O", "O", "O")),
]
CLASSES = [TaggedSentence(("Anna", "left", "."), ("N", "V", "P"))]
TOKEN_KEYS = ("tokens", "tags", "confidences", "byte_starts", "char_limits")
SPAN_KEYS = ("span_types", "span_starts", "span_limits", "span_confidences")


def make(train=NAMES, *, spans=True, seed=0, traced=False, **settings):
    """A tagger of random weights, so large that answers differ, and its endpoints.

    Only one is traced into graphs, which takes longer than a few short rows do without.
    """
    config, made = artifacts(train, spans=spans, seed=seed, **settings)
    model = tagger.build(config, made, portable=True)
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    if config.linear:
        model.get_layer("joint").mix.assign([0.7, 0.4])
    serving = TagServing(model, made)
    endpoints = serving.endpoints()
    call = {name: graph(end) if traced else end.function for name, end in endpoints.items()}
    return SimpleNamespace(model=model, artifacts=made, endpoints=endpoints, call=call)


def graph(endpoint):
    signature = [*endpoint.inputs.values()]
    return tf.function(endpoint.function, input_signature=signature, autograph=False)


@pytest.fixture(scope="module")
def joint():
    """Network and linear part, tags of spans in BIO."""
    return make(linear=True, span_scheme="bio", traced=True)


@pytest.fixture(scope="module")
def independent():
    """No CRF; tags of spans in BIOES inside."""
    return make(decoder="softmax", span_scheme="bioes", seed=3)


@pytest.fixture(scope="module")
def classes():
    """Tags that mark no spans."""
    return make(CLASSES, spans=False)


def ask(made, endpoint, rows):
    """Call an endpoint with texts, or with token lists of unequal length."""
    if rows and isinstance(rows[0], list):
        width = max(map(len, rows))
        rows = [row + [""] * (width - len(row)) for row in rows]
    return readable(made.call[endpoint](tf.constant(rows, tf.string)))


def readable(answer):
    return {
        name: np.vectorize(bytes.decode, otypes=[object])(value.numpy())
        if value.dtype == tf.string
        else value.numpy()
        for name, value in answer.items()
    }


words = st.one_of(st.sampled_from([*ODD_WORDS, "do", "Anna", "Rio"]), st.text(max_size=4))
texts = st.lists(words, max_size=6).map(" ".join).map(lambda t: t.encode(errors="replace").decode())


@given(st.lists(texts, min_size=1, max_size=4))
@example(["", "do do"])
@example(["Anna\0do \u202eשב\u202c " + FAMILY, "e\u0301\u0323 ", "\0"])
@settings(max_examples=25, deadline=None)
def test_places_tags_and_spans_of_any_text_fit_together(joint, batch):
    answer = ask(joint, "serve", batch)
    rows, width = answer["tags"].shape
    for name, values in answer.items():
        assert values.shape[0] == rows == len(batch)
        assert values.shape[1] == width or name.startswith("span_"), name
    for number, text in enumerate(batch):
        row = {name: values[number] for name, values in answer.items()}
        count = int((row["tags"] != "").sum())
        assert (row["tokens"] != "").sum() == count
        assert not (row["tags"][count:] != "").any()
        check_places(text, row, count)
        check_spans(row, count)
        check_span_texts(text, row)
        assert ((row["confidences"] > 0) == (row["tags"] != "")).all()
        assert (row["confidences"] <= 1).all()


def check_places(text, row, count):
    """Slices of the text are the tokens; the words of a contraction share its place."""
    tokens = row["tokens"][:count].tolist()
    places = [[int(row[f"{unit}_{end}"][place]) for unit in ("char", "byte") for end in
               ("starts", "limits")] for place in range(count)]  # fmt: skip
    slices = [text[start:limit] for start, limit, _, _ in places]
    assert slices == [text.encode()[start:limit].decode() for _, _, start, limit in places]
    done = 0
    while done < count:
        if slices[done] == "do":
            assert tokens[done : done + 2] == ["de", "o"]
            assert places[done] == places[done + 1]
            done += 2
            continue
        assert tokens[done] == slices[done] != ""
        done += 1
    for name in ("char_starts", "byte_limits"):
        assert (np.diff(row[name][:count]) >= 0).all()
        assert not row[name][count:].any()


def check_span_texts(text, row):
    """What a span is written as reaches from its first word to its last."""
    for number, kind in enumerate(row["span_types"]):
        first, limit = (int(row[key][number]) for key in SPAN_KEYS[1:3])
        start, end = (row["char_starts"][first], row["char_limits"][limit - 1]) if kind else (0, 0)
        assert row["span_texts"][number] == text[start:end]


def check_spans(row, count):
    """The spans are those of the tags, with the very numbers of tokens."""
    tags = row["tags"][:count].tolist()
    assert violations(tags, "bio") == []
    expected = spans_of(tags)
    found = [
        (int(start), int(limit), kind)
        for kind, start, limit in zip(*(row[name] for name in SPAN_KEYS[:3]), strict=True)
        if kind
    ]
    assert found == expected
    likely = row["span_confidences"]
    assert ((likely[: len(found)] >= 0) & (likely[: len(found)] <= 1)).all()
    assert not likely[len(found) :].any()


@given(st.lists(texts, min_size=2, max_size=4))
@example(["Anna Berg do Rio .", "", "Bo", "we saw San Juan Sur and Anna and Bo"])
@settings(max_examples=10, deadline=None)
def test_batch_mates_and_padding_change_no_answer(joint, batch):
    together = ask(joint, "serve", batch)
    for number, text in enumerate(batch):
        alone = ask(joint, "serve", [text])
        for name, values in together.items():
            width = alone[name].shape[1]
            assert not (values[number, width:] != ("" if values.dtype == object else 0)).any()
            same(alone[name][0], values[number, :width], name)


def same(one, other, name=""):
    if one.dtype == object:
        assert one.tolist() == other.tolist(), name
    else:
        np.testing.assert_allclose(one, other, atol=1e-5, err_msg=name)


def test_tokens_are_answered_as_the_same_text_is(joint, classes):
    for made in (joint, classes):
        whole = ask(made, "serve", ["Anna Berg saw Rio .", "Bo"])
        cut = ask(made, "serve_tokens", [["Anna", "Berg", "saw", "Rio", "."], ["Bo"]])
        assert set(cut) == {name for name in whole if "_" not in name or name in SPAN_KEYS} - {
            "tokens"
        }
        for name, values in cut.items():
            same(values, whole[name], name)


def test_tokens_are_not_cut_again_and_tags_stand_where_the_tokens_do(joint):
    tokens = [["do", "a b c", "New-York", ""], ["Anna", "", "", ""]]
    answer = ask(joint, "serve_tokens", tokens)
    assert (answer["tags"] != "").tolist() == [[True] * 3 + [False], [True] + [False] * 3]
    assert answer["confidences"].shape == (2, 4)
    inner = ask(joint, "serve_tokens", [["Anna", "", "Berg"]])
    assert (inner["tags"] != "").tolist() == [[True] * 3]  # only what pads on the right is none


def test_rows_without_tokens_answer_nothing(joint, classes):
    for made in (joint, classes):
        answer = ask(made, "serve", ["", "Anna Berg", " \n\u200b"])
        assert (answer["tags"] != "").tolist() == [[False] * 2, [True] * 2, [False] * 2]
        assert not answer["confidences"][[0, 2]].any()
        for rows in (["", " "], [""]):
            for name, values in ask(made, "serve", rows).items():
                assert values.shape == (len(rows), 0), name
        blank = ask(made, "serve_tokens", [["", ""], ["", ""]])
        assert (blank["tags"] == "").all()
        assert blank["tags"].shape == blank["confidences"].shape == (2, 2)
        assert all(blank[name].shape == (2, 0) for name in blank if name in SPAN_KEYS)


def test_sentences_of_one_token(joint, independent, classes):
    for made in (joint, independent, classes):
        for token in ODD_WORDS:
            (tag,) = ask(made, "serve_tokens", [[token]])["tags"][0]
            assert tag in set(output_names(made.artifacts.labels.tokens, spans=made is not classes))
            assert not tag.startswith("I-")


def test_ten_thousand_tokens(joint):
    sentence = ["Anna", "Berg", "saw", "Rio", "."] * 2000
    answer = ask(joint, "serve_tokens", [sentence])
    assert answer["tags"].shape == (1, 10_000)
    row = {name: values[0] for name, values in answer.items()}
    check_spans(row, 10_000)
    assert np.isfinite(row["confidences"]).all()


def random_batch(seed, rows=40, width=9):
    rng = random.Random(seed)
    known = ["Anna", "Berg", "Rio", "San", "Juan", "Sur", "saw", ".", "do", *ODD_WORDS]
    return [rng.choices(known, k=rng.randrange(1, width)) for _ in range(rows)]


@pytest.mark.parametrize("name", ["joint", "independent"])
def test_tags_are_valid_bio_whatever_the_model_says(name, request):
    """Random weights: without constraints most sequences would be illegal."""
    made = request.getfixturevalue(name)
    answer = ask(made, "serve_tokens", random_batch(1))
    letters = {tag[0] for tag in answer["tags"].ravel() if tag}
    assert letters == set("BIO")
    for number in range(40):
        row = {key: values[number] for key, values in answer.items()}
        check_spans(row, int((row["tags"] != "").sum()))
    assert {len(name) for name in made.artifacts.labels.tokens} == {1, 3}
    inside = {label[0] for label in made.artifacts.labels.tokens}
    assert inside == (set("BIO") if name == "joint" else set("BIOES"))


def potentials_of(made, rows):
    features = TokenFeatures(made.artifacts).dense(ragged_tokens(rows))
    inputs = [features[tensor.name] for tensor in made.model.inputs]
    upper = keras.Model(made.model.inputs, made.model.get_layer("decoder").input[0])
    return upper(inputs).numpy(), [part.numpy() for part in made.model(inputs)]


@pytest.mark.parametrize("name", ["joint", "independent"])
def test_confidences_are_sums_over_all_paths(name, request):
    """What is answered for a span is the probability of its tags, whatever stands around them."""
    made = request.getfixturevalue(name)
    rows = [row for row in random_batch(2, rows=90) if len(row) == 4]
    potentials, (codes, left, right) = potentials_of(made, rows)
    answer = ask(made, "serve_tokens", rows)
    several = 0
    for row in range(len(rows)):
        paths = np.array([*itertools.product(range(len(made.artifacts.labels)), repeat=4)])
        before = np.pad(paths[:, :-1], [(0, 0), (1, 0)])
        scores = potentials[row].astype(float)[range(4), before, paths].sum(axis=1)
        chances = np.exp(scores - logsumexp(scores))
        best = codes[row] - 1
        assert paths[chances.argmax()].tolist() == best.tolist()
        agree = paths == best
        for place in range(4):
            wanted = chances[agree[:, place]].sum()
            assert answer["confidences"][row, place] == pytest.approx(wanted, abs=1e-5)
        for number, kind in enumerate(answer["span_types"][row]):
            if kind:
                first, limit = (int(answer[key][row, number]) for key in SPAN_KEYS[1:3])
                likely = answer["span_confidences"][row, number]
                wanted = chances[agree[:, first:limit].all(axis=1)].sum()
                assert likely == pytest.approx(wanted, abs=1e-5)
                assert likely == pytest.approx(
                    np.exp(left[row, first] + right[row, limit - 1]), abs=1e-6
                )
                several += limit - first > 1
    assert several


def test_the_best_of_the_alternatives_is_what_is_served(joint):
    batch = ["Anna Berg do Rio .", "we saw San Juan Sur", "Bo", ""]
    answer, ranked = ask(joint, "serve", batch), ask(joint, "n_best", batch)
    assert ranked["tokens"].tolist() == answer["tokens"].tolist()
    assert ranked["tags"].shape == (4, ALTERNATIVES, answer["tags"].shape[1])
    np.testing.assert_array_equal(ranked["tags"][:, 0], answer["tags"])
    chances = ranked["probabilities"]
    assert (np.diff(chances[:3]) <= 1e-6).all()
    assert (chances.sum(axis=1) <= 1 + 1e-5).all()
    for row in range(2):
        distinct = {tuple(tags) for tags in ranked["tags"][row]}
        assert len(distinct) == ALTERNATIVES
        assert all(violations([tag for tag in tags if tag], "bio") == [] for tags in distinct)
    # One token may be O, B-n or B-p; what does not exist repeats the best with probability 0.
    assert (chances[2] > 0).tolist() == [True] * 3 + [False] * 2
    assert {tags[0] for tags in ranked["tags"][2, :3]} == {"O", "B-n", "B-p"}
    assert ranked["tags"][2, 3:, 0].tolist() == [answer["tags"][2, 0]] * 2
    assert (ranked["tags"][3] == "").all()


def test_alternatives_where_nothing_has_a_token(joint):
    ranked = ask(joint, "n_best", ["", ""])
    assert ranked["tokens"].shape == (2, 0)
    assert ranked["tags"].shape == (2, ALTERNATIVES, 0)


def test_transitions_of_a_joint_model_are_weighted_sums(joint):
    found = readable(joint.call["transitions"]())
    assert tuple(found["tags"]) == joint.artifacts.labels.tokens
    network, linear = (joint.model.get_layer(name) for name in ("crf", "linear_crf"))
    for key, part in (("start", "start"), ("scores", "transitions"), ("end", "end")):
        own, other = (np.array(getattr(layer, part)) for layer in (network, linear))
        legal = found[key] > -1e20
        np.testing.assert_allclose(found[key][legal], (0.7 * own + 0.4 * other)[legal], rtol=1e-5)
    labels = found["tags"].tolist()
    illegal = {
        (labels[i], labels[j]) for i, j in np.argwhere(found["scores"] < -1e20)
    }  # fmt: skip
    assert illegal == {
        ("O", "I-n"), ("O", "I-p"), ("B-n", "I-p"), ("B-p", "I-n"), ("I-n", "I-p"), ("I-p", "I-n"),
    }  # fmt: skip
    assert [labels[i] for i in np.flatnonzero(found["start"] < -1e20)] == ["I-n", "I-p"]


def test_endpoints_tell_what_they_answer(joint, independent, classes):
    assert [*joint.endpoints] == ["serve", "serve_tokens", "n_best", "transitions"]
    assert [*independent.endpoints] == ["serve", "serve_tokens", "n_best"]
    for made, name in ((joint, "serve"), (joint, "n_best"), (classes, "serve")):
        assert set(ask(made, name, ["Anna"])) == set(made.endpoints[name].meaning)
    for made in (joint, independent, classes):
        found = ask(made, "serve_tokens", [["Anna"]])
        assert set(found) == set(made.endpoints["serve_tokens"].meaning)
    assert not set(ask(classes, "serve", ["Anna left"])) & set(SPAN_KEYS)
    assert set(readable(joint.call["transitions"]())) == set(joint.endpoints["transitions"].meaning)


def test_spans_without_a_type_are_told_from_padding():
    """Where there is one type only, tags may be mere letters."""
    train = [TaggedSentence(("Anna", "Berg", "saw", "Bo"), ("B", "I", "O", "B"))]
    made = make(train, span_scheme="bio")
    bias = made.model.get_layer("emissions").bias
    bias.assign(100.0 * np.array([label == "B" for label in made.artifacts.labels.tokens]))
    answer = ask(made, "serve", ["Anna Bo", "Bo"])
    assert answer["tags"].tolist() == [["B", "B"], ["B", ""]]
    assert answer["span_types"].tolist() == [["span", "span"], ["span", ""]]
    assert answer["span_texts"].tolist() == [["Anna", "Bo"], ["Bo", ""]]


@pytest.mark.parametrize(
    ("labels", "spans", "names"),
    [
        (("B-x", "E-x", "I-x", "O", "S-x"), True, ("", "B-x", "I-x", "I-x", "O", "B-x")),
        (("ADJ", "SCONJ", "E"), False, ("", "ADJ", "SCONJ", "E")),
        (("O", "B", "E", "S-a-b"), True, ("", "O", "B", "I", "B-a-b")),
    ],
)
def test_names_of_answers(labels, spans, names):
    assert output_names(labels, spans=spans) == names
