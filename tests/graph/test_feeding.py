"""What `fit` is fed."""

import numpy as np
import tensorflow as tf

from pipelines.batching import Batches
from pipelines.corpus import Ragged, write_corpus
from pipelines.feeding import as_dataset


def test_the_dataset_is_the_plan_batch_by_batch_and_again_from_the_start(tmp_path):
    rng = np.random.default_rng(5)
    lengths = rng.integers(1, 30, 200)
    chunk = {
        "tokens": Ragged(rng.integers(1, 99, lengths.sum()).astype(np.uint16), lengths),
        "shares": rng.random((200, 3)).astype(np.float32),
        "place": np.arange(200),
    }
    batches = Batches(
        write_corpus(tmp_path / "rows", [chunk]),
        length_of="tokens", inputs=("tokens", "place"), target="shares", batch_tokens=128, seed=3,
    )  # fmt: skip
    plan = batches.epoch(1, start=2)
    dataset = as_dataset(plan)
    inputs, targets, weights = dataset.element_spec
    assert {name: tuple(spec.shape) for name, spec in inputs.items()} == {
        "tokens": (None, None), "place": (None,),
    }  # fmt: skip
    assert (tuple(targets.shape), tuple(weights.shape)) == ((None, 3), (None,))
    assert int(dataset.cardinality()) == len(plan) > 5
    for _ in range(2):
        for found, expected in zip(dataset, plan, strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
            assert found[0]["tokens"].dtype == expected[0]["tokens"].dtype
