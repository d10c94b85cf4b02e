"""`python -m pipelines VERB TASK [options]`: arguments become frozen dataclasses.

Nothing here imports TensorFlow, so help and mistakes are answered at once. Make calls this; exit
codes are 0 done, 1 failed, 2 misuse, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import field, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from pipelines.config import RunConfig
from pipelines.errors import ConfigError, ToolkitError, did_you_mean
from pipelines.options import DataOptions, EvaluateOptions, TrainOptions
from pipelines.registry import find_task, task_names
from pipelines.studies.options import (
    CompareCellsOptions,
    GradientsOptions,
    LadderOptions,
    StudyOptions,
)

if TYPE_CHECKING:
    from pipelines.task import Task

VERBS = {
    "data": "fetch, read and split a data set, and show what was found",
    "check": "look at a data set as a careful person would before training",
    "train": "train, export, verify, evaluate and report",
    "evaluate": "score the latest exported model on labelled rows and write a report",
    "predict": "run the latest exported model on a text, a file or standard input",
    "report": "write saved_models/index.html, a table of all runs",
    "compare-cells": "train cells, encoders and depths at equal size, and compare them on one page",
    "ladder": "train ever larger models until validation gains no more: how big should it be?",
    "gradients": "show how far back the gradient of the last state reaches, by recurrent cell",
    "memory-lab": "show how long each cell remembers: adding, copying, parentheses (no task)",
}


_OPTIONS: dict[str, type] = {
    "data": DataOptions,
    "check": DataOptions,
    "train": TrainOptions,
    "evaluate": EvaluateOptions,
    "compare-cells": CompareCellsOptions,
    "ladder": LadderOptions,
    "gradients": GradientsOptions,
}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        return _dispatch(list(arguments))
    except ToolkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        sys.stderr.close()
        return 0


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        raise ConfigError(f"unknown verb {verb!r}{did_you_mean(verb, VERBS)}\n\n{usage()}")
    if verb == "report":
        from pipelines import commands

        return commands.report()
    if verb == "memory-lab":
        return _memory_lab(rest)
    if not rest or rest[0].startswith("-"):
        raise ConfigError(f"{verb}: no task given; known tasks: {', '.join(task_names())}")
    return _run(verb, rest[0], rest[1:])


def _memory_lab(arguments: list[str]) -> int:
    from pipelines.lab.options import MemoryLabOptions

    options = tyro.cli(
        MemoryLabOptions,
        args=arguments,
        prog="make memory-lab (python -m pipelines memory-lab)",
        description=f"memory lab: {VERBS['memory-lab']}.",
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    from pipelines import commands

    return commands.memory_lab(options)


def _run(verb: str, task_name: str, arguments: list[str]) -> int:
    task_type = find_task(task_name)
    options, config = parse(verb, task_name, task_type, arguments)
    if isinstance(options, StudyOptions):
        options.check(config)
    from pipelines import commands  # heavy; after the arguments are known to be good

    command: Callable[..., int] = getattr(commands, verb.replace("-", "_"))
    return command(task_type(config), options)


def parse(
    verb: str, task_name: str, task_type: type[Task[Any, Any]], arguments: Sequence[str]
) -> tuple[Any, RunConfig]:
    """Turn arguments into the verb's options and the task's settings.

    Raises:
        SystemExit: with code 2 and a message on misuse, 0 after `--help`.
        ConfigError: a value that parses but cannot work.
    """
    flat, config_type = tyro.conf.OmitArgPrefixes, task_type.config_type
    options = task_type.predict_options if verb == "predict" else _OPTIONS[verb]
    fields: list[Any] = [("options", Annotated[options, flat])]
    if verb != "predict":  # an exported model carries its settings
        settings = _of_preset(task_name, config_type, arguments)
        fields.append(("settings", Annotated[config_type, flat], field(default=settings)))
    command = make_dataclass(verb, fields, frozen=True)
    parsed: Any = tyro.cli(
        command,
        args=list(arguments),
        prog=f"make {verb}-{task_name} (python -m pipelines {verb} {task_name})",
        description=f"{task_name}: {VERBS[verb]}.",
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    return parsed.options, getattr(parsed, "settings", None) or config_type()


def _of_preset(task_name: str, config_type: type[RunConfig], arguments: Sequence[str]) -> RunConfig:
    """Return the settings of a named preset, which other options then change.

    Raises:
        ConfigError: the task has no preset of this name.
    """
    words = [word for argument in arguments for word in argument.split("=", maxsplit=1)]
    place = words.index("--preset") + 1 if "--preset" in words else len(words)
    if place >= len(words):  # none is asked for, or the parser tells that its name is missing
        return config_type()
    name, known = words[place], config_type.presets
    if name not in known:
        hint = did_you_mean(name, known)
        has = f"presets of {task_name}: {', '.join(known)}" if known else f"{task_name} has none"
        raise ConfigError(f"unknown preset {name!r}{hint}; {has}")
    return config_type(**{**known[name], "preset": name})


def usage() -> str:
    """Return the help of the bare command."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {meaning}" for verb, meaning in VERBS.items())
    return (
        "usage: python -m pipelines VERB TASK [options]\n\n"
        f"verbs:\n{verbs}\n\ntasks: {', '.join(task_names())}\n\n"
        "`python -m pipelines train TASK --help` lists every setting of a task; those of a study\n"
        "are beside them, as in `python -m pipelines ladder TASK --help`."
    )
