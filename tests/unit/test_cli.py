"""What a user who mistypes sees: at once, without TensorFlow, with exit code 2."""

import subprocess
import sys

import pytest

from pipelines import cli
from pipelines.config import RunConfig, config_from_json
from pipelines.errors import ConfigError
from pipelines.registry import find_task, task_names


def run(capsys, *arguments):
    """Return exit code and everything printed, whitespace folded (tyro draws boxes)."""
    try:
        code = cli.main(arguments)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, " ".join((captured.out + captured.err).replace("│", " ").split())


def test_without_arguments_the_verbs_and_tasks_are_listed(capsys):
    code, text = run(capsys)
    assert code == 0
    assert "evaluate score the latest exported model" in text
    assert "tasks: " + ", ".join(task_names()) in text


def test_an_unknown_verb_is_met_with_the_closest(capsys):
    code, text = run(capsys, "trian", "sentiment")
    assert code == 2
    assert "unknown verb 'trian'; did you mean 'train'?" in text


def test_an_unknown_task_lists_the_known_ones(capsys):
    code, text = run(capsys, "train", "sentimant")
    assert code == 2
    assert "unknown task 'sentimant'; did you mean 'sentiment'?; known tasks: " in text


def test_a_missing_task_is_named(capsys):
    code, text = run(capsys, "train", "--epochs", "3")
    assert code == 2
    assert "train: no task given; known tasks: " in text


def test_an_unknown_option_is_met_with_the_closest(capsys):
    code, text = run(capsys, "train", "sentiment", "--epoch", "3")
    assert code == 2
    assert "Unrecognized options: --epoch" in text
    assert "--epochs INT" in text


def test_a_value_of_the_wrong_kind_is_refused(capsys):
    code, text = run(capsys, "train", "sentiment", "--cell", "transformer")
    assert code == 2
    assert "simple" in text
    assert "lstm" in text


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--epochs", "0", "option --epochs is 0; it must be at least 1"),
        ("--input-dropout", "1.5", "option --input-dropout is 1.5; it must be in [0, 1)"),
        ("--learning-rate", "-1", "option --learning-rate is -1.0; it must be above 0"),
        ("--limit", "3", "option --limit is 3; it must be at least 10 rows"),
        ("--linear-penalty", "0", "option --linear-penalty is 0.0; it must be above 0"),
    ],
)
def test_a_value_that_cannot_work_is_refused(capsys, option, value, expected):
    code, text = run(capsys, "train", "sentiment", option, value)
    assert code == 2
    assert expected in text


def test_help_lists_every_setting_with_its_meaning(capsys):
    code, text = run(capsys, "train", "sentiment", "--help")
    assert code == 0
    assert "--batch-tokens INT" in text
    assert "Padded tokens in a batch" in text


def test_predict_wants_a_text_or_a_file(capsys):
    code, text = run(capsys, "predict", "sentiment")
    assert code == 2
    assert "needs one of --text and --file (in Make: TEXT= or FILE=)" in text


def test_predict_without_a_model_says_what_to_do(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SAVED_MODELS", str(tmp_path))
    code, text = run(capsys, "predict", "sentiment", "--text", "x")
    assert code == 1
    assert "no trained model here; run `make train-sentiment` first" in text


def test_a_folder_that_is_no_version_is_refused(capsys, tmp_path):
    code, text = run(capsys, "predict", "sentiment", "--text", "x", "--model", str(tmp_path))
    assert code == 1
    assert "expected a version directory such as saved_models/sentiment/1" in text


def test_missing_data_is_named_before_tensorflow_is_loaded(capsys, tmp_path):
    code, text = run(capsys, "check", "sentiment", "--data", str(tmp_path / "no.csv"))
    assert code == 1
    assert "no.csv" in text


def test_answers_to_mistakes_load_no_tensorflow():
    script = (
        "import sys; from pipelines.cli import main\n"
        "try: main(['train', 'sentiment', '--epoch', '3'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize("verb", ["train", "predict", "evaluate", "check", "data", "help"])
@pytest.mark.parametrize("task", task_names())
def test_every_make_target_of_a_task_runs_an_existing_command(root, verb, task):
    done = subprocess.run(
        ["make", "-n", f"{verb}-{task}", "DATA=x y.csv"],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = "train" if verb == "help" else verb
    assert f"-m pipelines {expected} {task}" in done.stdout
    assert expected in cli.VERBS


@pytest.mark.parametrize(
    "target", ["help", "setup", "test", "test-fast", "lint", "bench", "smoke", "report", "clean"]
)
def test_every_documented_target_exists(root, target):
    subprocess.run(["make", "-n", target], cwd=root, capture_output=True, check=True)
    assert target in (root / "README.md").read_text() or target in (root / "Makefile").read_text()


def test_settings_survive_json():
    config_type = find_task("sentiment").config_type
    config = config_type(epochs=3, pooling=("last", "mean"))
    content = {"epochs": 3, "pooling": ["last", "mean"], "gone_since": 1}
    assert config_from_json(config_type, content) == config
    assert config.fingerprint() != config_type().fingerprint()


def test_a_registry_entry_must_exist():
    with pytest.raises(ConfigError, match="unknown task 'x'; known tasks"):
        find_task("x")
    assert issubclass(find_task("sentiment").config_type, RunConfig)
