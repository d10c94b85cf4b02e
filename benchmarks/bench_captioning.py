"""Captioner: epochs above a frozen encoder, memory with the number of images, speed of serving.

Epochs: the same decoder is trained with its encoder; above a frozen encoder that looks at every
image again in every epoch; and above the features that it computed once. All without augmentation,
which kept features exclude. Ways alternate, and ratios are taken within a repeat. Weights are
random: speed does not depend on them.

Memory: images are read and encoded, the model trained for one epoch on every image, and captions
remembered, in a process of its own for N and for 4 N images. Pages of mapped files count too.

Serving: requests to exported models with random weights, which write to the longest length.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from common import CommandFailed, measure, peak_mb, spread
from random_captioner import CAPTIONS, draw_images, export_random, make_task, save_weights

ENCODERS = {"compact": 64, "MobileNetV2": 96}  # and the side of the images each sees
ANEW, KEPT, TRAINED = "frozen, every epoch anew", "frozen, features kept", "trained"
MEMORY_SIDE = 192  # 110 kB of pixels, so that pages of 128 MB are mapped and given back
MAPS = {
    "images": (16, 16, 16, 16),
    "features": (16, 16, 48),
}  # of small networks; 110 kB of features
BOUND_MB = 5.0  # more memory for a thousand images more
REQUESTS = (1, 32)
SERVED: dict[str, dict[str, Any]] = {
    "attention, consensus": {},
    "attention": {"consensus": False},
    "plain, consensus": {"attention": "none"},
    "plain": {"attention": "none", "consensus": False},
}


def read_and_encode(task: Any, captions: Path, work: Path) -> tuple[Any, float]:
    """Return what training needs, and the seconds that encoding took."""
    from rich.console import Console

    from pipelines.pipeline import prepare
    from pipelines.stages import Stages
    from pipelines.workspace import Folders

    folders = Folders(raw=work / "raw", cache=work / "cache", saved_models=work / "models")
    with Path(os.devnull).open("w") as nowhere:
        stages = Stages(Console(file=nowhere))
        prepared = prepare(task, str(captions), folders=folders, stages=stages)
    return prepared, stages.seconds["encode"]


class Way:
    """One way to train: what it reads is encoded, its model compiled."""

    def __init__(self, name: str, captions: Path, work: Path, **settings: Any) -> None:
        from pipelines.captioning.captioner import learner
        from pipelines.optimizing import compile_model

        task = make_task(frozen=name == KEPT, **settings)
        prepared, self.prepared_seconds = read_and_encode(task, captions, work)
        model = task.build_model(prepared.artifacts)
        task.initialise(model, prepared)
        self.model = task.training_model(model)
        objective = task.objective(model, prepared.artifacts)
        if name == ANEW:
            model.get_layer("encoder").trainable = False
            self.model = learner(model, task.config)
        self.batches = task.batches(prepared.corpora["train"], self.model, seed=17)
        compile_model(self.model, objective, task.config, len(self.batches))
        self._epoch = 0

    def epoch(self) -> float:
        """Train an epoch; return its seconds."""
        from pipelines.feeding import as_dataset

        started = time.perf_counter()
        self.model.fit(as_dataset(self.batches.epoch(self._epoch)), verbose=0, shuffle=False)
        self._epoch += 1
        return time.perf_counter() - started


def epochs(work: Path, images: int, repeats: int) -> None:
    """Alternate epochs of the three ways; print seconds, and ratios to that with kept features."""
    captions = draw_images(work / "drawn", images, "captions", 128)
    for encoder, side in ENCODERS.items():
        folder = work / encoder
        folder.mkdir()
        chosen: dict[str, Any] = {"encoder": encoder, "image_size": side}
        chosen["encoder_weights"] = str(save_weights(folder, **chosen))
        ways = {name: Way(name, captions, folder, **chosen) for name in (TRAINED, ANEW, KEPT)}
        ways[ANEW].prepared_seconds = ways[TRAINED].prepared_seconds  # it found these pixels
        first = {name: way.prepared_seconds + way.epoch() for name, way in ways.items()}
        later: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, way in ways.items():
                later[name].append(way.epoch())
        count = len(ways[KEPT].batches.lengths)
        print(f"\n{encoder}, {side} pixels: an epoch of {count:,} captions, {CAPTIONS} an image")
        for name, seconds in later.items():
            ratios = [one / kept for one, kept in zip(seconds, later[KEPT], strict=True)]
            encoding = f"{first[name]:6.1f} s, {ways[name].prepared_seconds:5.1f} of them encoding"
            told = f"later {spread(seconds, '6.2f')} s   / kept {spread(ratios, '5.1f')}"
            print(f"  {name:26} first {encoding}   {told}", flush=True)


def memory(work: Path, images: int) -> bool:
    """Print peaks of memory for N and 4 N images; return whether they are within the bound."""
    holds, counts = True, (images, 4 * images)
    files = {count: draw_images(work / "many", count, f"of{count}", 48) for count in counts}
    for kind in MAPS:
        peaks: dict[int, dict[str, float]] = {}
        print(f"\nmemory, {kind} on disk: peak of one process, MB", flush=True)
        for count, captions in files.items():
            place = work / f"{kind}-{count}"
            command = [__file__, "--train", kind, str(captions), str(place)]
            result = measure(command, environment={"TF_NUM_INTRAOP_THREADS": "1"})
            peaks[count] = json.loads(result.output.splitlines()[-1])
            told = "   ".join(f"{name} {peak:,.0f}" for name, peak in peaks[count].items())
            print(f"  {count:7,} images {result.seconds:6.1f} s   {told}", flush=True)
        few, many = (peaks[count] for count in counts)
        growth = {name: (many[name] - few[name]) / (3 * images) * 1000 for name in few}
        told = "   ".join(f"{name} {value:.1f}" for name, value in growth.items())
        print(f"  MB for a thousand images more, up to the end of: {told}", flush=True)
        holds &= max(growth.values()) <= BOUND_MB
    return holds


def train_alone(kind: str, captions: Path, work: Path) -> None:
    """Encode and train in this process; print the peak of memory at the end of each part."""
    from pipelines.feeding import as_dataset
    from pipelines.optimizing import compile_model

    small: dict[str, Any] = {"units": 16, "embedding_size": 16, "image_size": MEMORY_SIDE}
    widths = MAPS[kind]
    small |= {"widths": widths, "blocks": (0, *[1] * (len(widths) - 1))}
    if kind == "features":
        version = save_weights(work / "version", **small)
        small |= {"frozen": True, "encoder_weights": str(version)}
    task, peaks = make_task(**small), {"start": peak_mb()}
    prepared, _ = read_and_encode(task, captions, work)
    peaks["encoding"] = peak_mb()
    model = task.build_model(prepared.artifacts)
    task.initialise(model, prepared)
    learner, objective = task.training_model(model), task.objective(model, prepared.artifacts)
    batches = task.batches(prepared.corpora["train"], learner, seed=17)
    compile_model(learner, objective, task.config, len(batches))
    learner.fit(as_dataset(batches.epoch(0)), verbose=0, shuffle=False)
    objective.validate(learner, task.batches(prepared.corpora["valid"], learner))
    peaks["epoch"] = peak_mb()
    task.calibrate(model, prepared)
    peaks["remembering"] = peak_mb()
    print(json.dumps(peaks))


def export_all(work: Path) -> dict[str, Path]:
    """Export a network for each way of serving."""
    return {
        name: export_random(work / f"served-{number}", **settings)
        for number, (name, settings) in enumerate(SERVED.items())
    }


def serving(versions: Mapping[str, Path], captions: Path, repeats: int) -> None:
    """Alternate requests to the models; print images a second, and ratios to the first."""
    from pipelines.export.loading import load_served

    files = [path.read_bytes() for path in sorted(captions.parent.glob("*.png"))]
    served = {name: load_served(version) for name, version in versions.items()}
    for count in REQUESTS:
        request = {"image": files[:count]}
        words = {
            name: np.mean([len(text.split()) for text in one.call(request)["caption"]])
            for name, one in served.items()
        }
        speeds: dict[str, list[float]] = {name: [] for name in served}
        for _ in range(repeats):
            for name, one in served.items():
                rounds = max(1, 16 // count)
                speeds[name].append(1000 * count / np.mean(one.latencies([request] * rounds)))
        print(f"\nserving, {count} image(s) a request", flush=True)
        base = next(iter(speeds.values()))
        for name, each in speeds.items():
            ratios = [own / other for own, other in zip(each, base, strict=True)]
            told = f"{spread(each, '6.1f')} images/s   / first {spread(ratios, '5.2f')}"
            print(f"  {name:22} {told}   {words[name]:4.1f} words", flush=True)


PARTS = ("epochs", "memory", "serving")


def main() -> int:
    """Compare ways of training, memory and serving; 1 if memory grows beyond the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300, help="drawn for the epochs")
    parser.add_argument("--many", type=int, default=1_500, help="N of the memory; 4 N are drawn")
    parser.add_argument("--model", type=Path, help="an exported version, for the serving")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--train", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="few images, no memory")
    options = parser.parse_args()
    if options.quick:
        options.images, options.repeats, options.only = 40, 1, ["epochs"]
    from pipelines.quiet import import_quietly

    import_quietly("tensorflow", "keras")
    if options.train:
        kind, *places = options.train
        train_alone(kind, *map(Path, places))
        return 0
    holds = True
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        if "epochs" in options.only:
            epochs(work, options.images, options.repeats)
        if "memory" in options.only:
            holds = memory(work, options.many)
        if "serving" in options.only:
            versions = {"given model": options.model} if options.model else export_all(work)
            serving(
                versions, draw_images(work / "asked", max(REQUESTS), "all", 256), options.repeats
            )
    print(f"\n{'memory is bounded' if holds else f'BROKEN: memory grows by over {BOUND_MB} MB'}")
    return int(not holds)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CommandFailed as error:
        sys.exit(f"error: {error}")
