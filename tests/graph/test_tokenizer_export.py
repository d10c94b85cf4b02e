import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from pipelines.text.fitting import fit_vocabulary
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import UNK

TEXTS = ["IT IS A b, don't zzz 你好", "", "x" * 30]


def test_a_keras_model_keeps_its_tokenizer(tmp_path: Path):
    vocabulary = fit_vocabulary([TEXTS], min_count=1)
    text = keras.Input((), dtype="string")
    ids = Tokenizer(vocabulary, add_eos=True)(text)
    assert ids.shape == (None, None) and ids.dtype == "int32"
    model = keras.Model(text, keras.layers.Embedding(len(vocabulary), 3, mask_zero=True)(ids))
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    texts = tf.constant(TEXTS)
    np.testing.assert_array_equal(model(texts), reloaded(texts))


READER = """
import json, sys
sys.modules.update(keras=None, jax=None)
import tensorflow as tf
assert tf.strings.lower("I", encoding="utf-8").numpy() != b"i", "the locale had no effect"
loaded = tf.saved_model.load(sys.argv[1])
texts = tf.constant(json.loads(sys.argv[2]))
for level in ("word", "char", "byte", "subword", "spaced"):
    result = getattr(loaded, level)(texts)
    written = [text.decode() for text in result["text"].numpy()]
    print(json.dumps([result["ids"].numpy().tolist(), result["starts"].to_list(), written]))
"""
LEVELS = ("word", "char", "byte", "subword", "spaced")


class Endpoint:
    def __init__(self, level: str) -> None:
        level, keeps = ("subword", True) if level == "spaced" else (level, False)
        options = {"level": level, "keep_whitespace": keeps}
        vocabulary = fit_vocabulary([TEXTS[:2]], min_count=1, **options)
        self.tokenizer = Tokenizer(vocabulary, add_eos=True, **options)

    def __call__(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = self.tokenizer(texts)
        starts = self.tokenizer.split(texts).char_starts
        return {"ids": ids, "starts": starts, "text": self.tokenizer.detokenize(ids)}

    def as_lists(self, texts: list[str]) -> list[list]:
        result = self(tf.constant(texts))
        written = [text.decode() for text in result["text"].numpy()]
        return [result["ids"].numpy().tolist(), result["starts"].to_list(), written]


def test_a_process_with_only_tensorflow_under_a_turkish_locale_agrees(tmp_path: Path):
    endpoints = {level: Endpoint(level) for level in LEVELS}
    archive = keras.export.ExportArchive()
    for level, endpoint in endpoints.items():
        archive.track(endpoint.tokenizer)
        archive.add_endpoint(level, endpoint.__call__, [tf.TensorSpec([None], tf.string)])
    archive.write_out(tmp_path / "saved", verbose=False)
    command = [sys.executable, "-c", READER, str(tmp_path / "saved"), json.dumps(TEXTS)]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "tr_TR.UTF-8"}  # and no path to the project
    run = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, text=True, cwd=tmp_path, env=environment
    )
    served = [json.loads(line) for line in run.stdout.strip().splitlines()[-5:]]
    assert served == [endpoint.as_lists(TEXTS) for endpoint in endpoints.values()]
    assert UNK not in endpoints["word"].tokenizer(tf.constant(TEXTS[:1])).numpy()
