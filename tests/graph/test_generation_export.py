"""A real language model that writes, exported and streamed."""

import io

import numpy as np
import pytest

from pipelines.export.saved_model import Endpoint, write_saved_model
from pipelines.export.serving import ServedModel
from pipelines.language.generation import Generation
from pipelines.language.predict_options import LanguageOptions
from pipelines.language.writing import write
from pipelines.layers.language_model import LanguageModel
from tests.graph.tiny_language import SIZE, choices, letters


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Endpoints of a model with random weights that ends no text."""
    stack = {"cell": "lstm", "units": 8, "depth": 2, "use_cudnn": False, "seed": 3}
    layer = LanguageModel(SIZE, embedding_size=5, stack=stack, seed=3)
    layer.build()
    bias = np.where(np.arange(SIZE) == 3, -30.0, 0.0)
    layer.output_layer.bias.assign(bias)
    layer.output_layer.kernel.assign(layer.output_layer.kernel * 5)
    tokenizer = letters()
    endpoints = Generation(layer, tokenizer).endpoints((layer, tokenizer))
    first = endpoints["begin"]  # which a model must serve matters not here; it is soon traced
    serve = Endpoint(first.function, first.inputs, first.meaning, first.resources)
    folder = tmp_path_factory.mktemp("model") / "1"
    write_saved_model(folder, {"serve": serve, **endpoints})  # refuses XLA operations
    return ServedModel(folder)


def generated(served, prompts, **given):
    rows = choices(len(prompts), **given)
    request = {name: list(values) for name, values in rows.items()}
    return served.call(request | {"prompt": prompts}, "generate")["text"].tolist()


def test_an_export_writes_for_any_batch_what_it_streams(served):
    texts = generated(served, ["abc"] * 3, length=200, seed=[4, 5, 6])
    assert generated(served, ["abc"], length=200, seed=[5]) == texts[1:2]
    assert len(set(texts)) == 3 and {len(text) for text in texts} == {200}
    out = io.StringIO()
    options = LanguageOptions(text="abc", length=200, samples=2, seed=4)
    assert write(served, options, out, vocabulary=letters().vocabulary) == 0
    heads = [f"sample {number} of 2, seed {number + 3}:\nabc" for number in (1, 2)]
    assert out.getvalue() == f"{heads[0]}{texts[0]}\n\n{heads[1]}{texts[1]}\n"


def test_an_export_completes(served):
    out = io.StringIO()
    options = LanguageOptions(text="abc", complete=4, length=3)
    assert write(served, options, out, vocabulary=letters().vocabulary) == 0
    lines = out.getvalue().splitlines()
    shares = [float(line.split("%")[0]) for line in lines]
    assert len(lines) == 4 and shares == sorted(shares, reverse=True)
    greedy = generated(served, ["abc"], length=3, temperature=0.0)[0]
    assert any(line.endswith(f"  {greedy}") for line in lines)
