"""A language model on disk as training leaves it: its weights are random, its words few."""

import json

import keras

from pipelines.layers.language_model import LanguageModel
from pipelines.text.fitting import fit_vocabulary

TEXT = "the small green dog sees Anna in Rome; a film was so dull, lovely and loud."


def write_language_model(version, *, level="char", depth=1, seed=5, texts=(TEXT,)):
    """Write what a receiving task reads of a version directory; return the directory."""
    keeps = {"keep_whitespace": True} if level == "subword" else {}
    vocabulary = fit_vocabulary(
        [list(texts)], level=level, lowercase=False, min_count=1, max_size=400, **keeps
    )
    layer = LanguageModel(
        len(vocabulary),
        embedding_size=3,
        stack={"cell": "lstm", "units": 5, "depth": depth, "input_dropout": 0.2},
        output_dropout=0.3,
        seed=seed,
        name="language_model",
    )
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    model = keras.Model(tokens, layer(tokens))
    extra = version / "assets.extra"
    extra.mkdir(parents=True)
    model.save(extra / "model.keras")
    vocabulary.save(extra / "vocabulary.txt")
    (extra / "language.json").write_text(json.dumps({"level": level}))
    (extra / "manifest.json").write_text(json.dumps({"task": "language_model"}))
    return version
