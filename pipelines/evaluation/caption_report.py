"""The report's pages about a captioner: images and captions, words, variety, scenes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pipelines.datasets.captions_options import CaptionedImage
from pipelines.evaluation.caption_judged import judged
from pipelines.evaluation.caption_looks import Evidence
from pipelines.evaluation.caption_sections_gallery import gallery_section
from pipelines.evaluation.caption_sections_scenes import scenes_section
from pipelines.evaluation.caption_sections_scores import (
    length_section,
    references_section,
    search_section,
)
from pipelines.evaluation.caption_sections_variety import diversity_section
from pipelines.evaluation.caption_sections_words import words_section
from pipelines.evaluation.captioning import Outputs
from pipelines.evaluation.sections import Section


def caption_sections(
    rows: Sequence[CaptionedImage],
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    evidence: Evidence,
    *,
    train_captions: Collection[str],
    seed: int = 17,
) -> list[Section]:
    """Describe a captioner beyond its scores.

    Args:
        rows: the test images; where all are generated scenes, these are looked into first.
        outputs: the exported model's "caption", one a row.
        baselines: outputs of other systems on the same rows.
        evidence: captions without search, and where the model looked.
        train_captions: captions of the training split, each once or as often as it occurs.
        seed: of resampling and of random choices.

    Raises:
        EvaluationError: there is no row, one has no caption, or outputs do not fit the rows.
    """
    found = judged(
        rows, outputs, baselines, evidence.greedy, train_captions=train_captions, seed=seed
    )
    sections = [
        scenes_section(found) if found.generated else None,
        gallery_section(found, evidence),
        words_section(found),
        diversity_section(found),
        search_section(found),
        references_section(found),
        length_section(found),
    ]
    return [section for section in sections if section is not None]
