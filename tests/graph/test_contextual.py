"""A language model is found, kept and refused."""

import json
import shutil
import zipfile
from dataclasses import replace

import pytest

from pipelines.errors import ConfigError, DataError
from pipelines.registry import find_task
from pipelines.text.artifacts import TextArtifacts
from pipelines.text.classifier_config import ClassifierConfig
from pipelines.text.contextual import Context, read_context
from pipelines.text.vocabulary import RESERVED, Vocabulary
from tests.graph.tiny_language_model import write_language_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_language_model(tmp_path_factory.mktemp("models") / "1")


@pytest.fixture
def version(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "1")


def plain_artifacts():
    vocabulary = Vocabulary((*RESERVED, "a", "b"))
    labels = Vocabulary(("bad", "good"), reserved=())
    return TextArtifacts.of(vocabulary, labels, ClassifierConfig(), higher=None)


def test_a_context_survives_the_disk(whole, tmp_path):
    context = Context.read(whole)
    context.save(tmp_path)
    assert Context.load(tmp_path) == context
    assert context.layer["stack"]["units"] == 5
    assert context.level == "char"


def test_artifacts_without_a_language_model_are_what_they_were(tmp_path):
    artifacts = plain_artifacts()
    assert artifacts.fingerprint() == "e6cabe26d8cb3460"
    artifacts.save(tmp_path)
    names = {"vocabulary.txt", "labels.txt", "text.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert TextArtifacts.load(tmp_path).context is None


def test_artifacts_with_one_have_another_fingerprint(whole, tmp_path):
    plain = plain_artifacts()
    artifacts = replace(plain, context=Context.read(whole))
    assert artifacts.fingerprint() != plain.fingerprint()
    artifacts.save(tmp_path)
    assert TextArtifacts.load(tmp_path).fingerprint() == artifacts.fingerprint()


def test_no_path_no_context():
    assert read_context(ClassifierConfig()) is None


@pytest.mark.parametrize("name", ["sentiment", "pos", "ner"])
def test_a_path_without_a_model_is_refused_before_data_is_read(name, tmp_path):
    task_type = find_task(name)
    task = task_type(task_type.config_type(init_from=str(tmp_path / "nothing")))
    with pytest.raises(DataError, match="nothing: no trained model is there .*make train-language"):
        task.begin()


def test_a_model_of_another_task_is_refused(version):
    (version / "assets.extra" / "manifest.json").write_text('{"task": "pos"}')
    with pytest.raises(DataError, match="holds a model of task 'pos'; expected one of 'language_m"):
        Context.read(version)


def test_another_level_is_refused(version):
    (version / "assets.extra" / "language.json").write_text('{"level": "word"}')
    with pytest.raises(DataError, match="level 'word'; expected one of char, byte, subword"):
        Context.read(version)


@pytest.mark.parametrize("name", ["language.json", "vocabulary.txt", "model.keras"])
def test_a_folder_that_lacks_a_file_is_refused(version, name):
    (version / "assets.extra" / name).unlink()
    with pytest.raises(DataError, match=f"not whole: .*{name}.*copy the whole version directory"):
        Context.read(version)


def test_a_cut_archive_is_refused(version):
    path = version / "assets.extra" / "model.keras"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="not whole: .*copy the whole version directory"):
        Context.read(version)


def test_a_damaged_archive_is_refused(version):
    path = version / "assets.extra" / "model.keras"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as files:
        start = files.getinfo("model.weights.h5").header_offset
    content[start + 600] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not whole: .*model.weights.h5 is damaged"):
        Context.read(version)


def test_an_archive_without_the_layer_is_refused(version):
    path = version / "assets.extra" / "model.keras"
    with zipfile.ZipFile(path) as files:
        config = json.loads(files.read("config.json"))
        weights = files.read("model.weights.h5")
    config["config"]["layers"] = config["config"]["layers"][:1]
    with zipfile.ZipFile(path, "w") as files:
        files.writestr("config.json", json.dumps(config))
        files.writestr("model.weights.h5", weights)
    with pytest.raises(DataError, match="has no layer named 'language_model'"):
        Context.read(version)


def test_files_of_two_models_are_refused(version):
    path = version / "assets.extra" / "vocabulary.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(DataError, match=r"vocabulary.txt has \d+ entries, expected \d+, .*of two"):
        Context.read(version)


def test_unfreezing_nothing_is_refused():
    with pytest.raises(ConfigError, match="--unfreeze-every is 1; it must be 0 without --init"):
        ClassifierConfig(unfreeze_every=1)
