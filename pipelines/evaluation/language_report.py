"""The report's pages about a language model: bits beside a compressor's, samples, surprises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.evaluation.language_evidence import Evidence
from pipelines.evaluation.language_judged import judged
from pipelines.evaluation.language_sections_places import places_section
from pipelines.evaluation.language_sections_quality import document_section, quality_section
from pipelines.evaluation.language_sections_samples import Text, samples_section
from pipelines.evaluation.language_sections_surprise import guesses_section, surprise_section
from pipelines.evaluation.language_significance import Outputs
from pipelines.evaluation.sections import Section

_LIMITS = (
    "Bits per character are comparable only on the same text: other texts, other spelling and "
    "other edges between training and test change them more than models differ.\n\n"
    "The opponents are weighed as the model is: each has read the training text and all that came "
    "before in the document, and pays for every character. Compressors go on learning as they "
    "read; the model's weights stand still, unless told otherwise above. A model's own size counts "
    "for nothing on either side.\n\n"
    "The end of a document is not weighed. A character that training lacks costs 20 bits beside "
    "those of 'unknown', for the model and for the context-free opponents alike: which of 2^20 "
    "code points it is.\n\n"
    "Curves of training, where they stand above, are per token: the training loss in nats (1 nat "
    "is 1.44 bits), with dropout and averaged while the weights moved; validation in bits, with "
    "the weights as they stood after the epoch."
)


def language_sections(
    rows: Sequence[Text],
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    *,
    evidence: Evidence,
    train: Sequence[Text] | None = None,
    notes: Sequence[str] = (),
    seed: int = 17,
) -> list[Section]:
    """Describe a language model beyond its scores.

    Args:
        rows: the test documents.
        outputs: the exported model's "bits" float[N], "characters" int[N] and "passage_bits"
            float32[N, P] padded with 0.
        baselines: the same of other systems; some with "character_bits", object[N] of
            float32[characters] (`language_baselines.LanguageBaselines`).
        evidence: samples, scored beginnings, guesses, and what the model answers if it learns as
            it reads.
        train: the training documents; None where they are gone.
        notes: what a reader has to know of the opponents, one sentence each.
        seed: of the resampling.

    Raises:
        EvaluationError: there is no character, or outputs do not fit the documents.
    """
    found = judged(rows, outputs, baselines, evidence, seed=seed)
    sizes = sum(len(row.text.encode("utf-8", "surrogatepass")) for row in rows)
    sections = [
        quality_section(found, sizes),
        document_section(found),
        places_section(found),
        samples_section(evidence.samples, train, rows),
        surprise_section(evidence.scored),
        guesses_section(evidence.guesses),
        Section("How to read these figures", "\n\n".join([_LIMITS, *notes])),
    ]
    return [section for section in sections if section is not None]
