"""The card of an exported recogniser: what it is, what it cost, how wrong it was. No paths, hosts or transcripts."""

from typing import Any

from scaling.ledger.records import RunRow
from sweeps.finished.find_run import TrainedRun

THROUGH_LLM = (
    "- `llm/`: the causal LM, adapters merged",
    "- `projector.safetensors`: `fc1`, GELU, `fc2` on joined encoder frames",
)
"""Lines about the files of a recogniser that writes through its LLM."""


def card(run: TrainedRun) -> str:
    """Markdown with the front matter that model hubs read."""
    row, node = run.row, run.plan_file.ledger.stage(run.node)["node"]
    data = node["data"]
    sections = [
        "---\nlibrary_name: asr-scaling\npipeline_tag: automatic-speech-recognition\n---",
        f"# {row.encoder} + {row.llm}, {row.strategy} at {row.budget_flops:.4g} FLOPs",
        _what(row, node),
        "## Errors\n\n" + _errors(row),
        "## Training\n\n" + _stages(row),
        _cost(row),
        f"Data, by content: train `{data['train']}` ({row.train_hours:.4g} h), dev `{data['dev']}`. Seed"
        f" {row.seed}, {row.precision}, language `{data['language']}`, prompt `{data['prompt']}`.",
        _layout(node),
        f"Run `{row.key}` of study {row.study}; {_versions(row.provenance)}.",
    ]
    return "\n\n".join(sections) + "\n"


def _what(row: RunRow, node: dict[str, Any]) -> str:
    model, encoder = node["model"], f"{row.encoder} (encoder of {row.encoder_params:,} parameters"
    if not _through_llm(node):
        return (
            f"A speech recogniser: {encoder}, decoder of {row.asr_decoder_params:,}). Digest of the base model:"
            f" `{model['encoder']}`; its licence goes on to hold."
        )
    return (
        f"A speech recogniser: {encoder}), a projector that joins {model['stack']} frames and has a hidden width of"
        f" {model['hidden']}, and {row.llm} ({row.llm_params:,} parameters with embeddings). Digests of the base"
        f" models: encoder `{model['encoder']}`, LLM `{model['llm']}`; their licences go on to hold."
    )


def _through_llm(node: dict[str, Any]) -> bool:
    return bool(node["stage"]["objective"] == "llm")


def _errors(row: RunRow) -> str:
    lines = ["| test set | utterances | characters | errors | CER |", "|---|---|---|---|---|"]
    for name, test in (row.test or {}).items():
        lines.append(f"| {name} | {test.n_utterances} | {test.ref_chars} | {test.errors} | {test.cer:.4f} |")
    return "\n".join([*lines, "", f"CER on dev, on which runs are chosen: {row.dev_cer:.4f}."])


def _stages(row: RunRow) -> str:
    lines = ["| stage | objective | trains (peak rate) | FLOPs | steps | audio h |", "|---|---|---|---|---|---|"]
    for stage in row.stages:
        trains = ", ".join(f"{part} ({rate:.3g})" for part, rate in stage.trains.items())
        lines.append(
            f"| {stage.name} | {stage.objective} | {trains} | {stage.flops:.4g} | {stage.steps} |"
            f" {(stage.audio_seconds or 0.0) / 3600:.3g} |"
        )
    return "\n".join(lines)


def _cost(row: RunRow) -> str:
    before = row.pretrain_flops
    return (
        f"Charged {row.flops:.6g} FLOPs (real lengths, forward and backward), executed {row.executed_flops:.6g}"
        f" (padding and all); pretraining of the base models: {'unknown' if before is None else f'{before:.4g}'}."
    )


def _layout(node: dict[str, Any]) -> str:
    lines = [
        "## Files",
        "",
        "- `encoder/`: the speech model with its own decoder or CTC head; it hears speech unpadded, padded positions"
        " masked",
        *(THROUGH_LLM if _through_llm(node) else ()),
        "- `recognizer.json`: how they fit together",
        "",
        "`asr-scaling transcribe FOLDER AUDIO...` uses them.",
    ]
    return "\n".join(lines)


def _versions(provenance: dict[str, Any]) -> str:
    return ", ".join(f"{name} {provenance[name]}" for name in ("torch", "transformers") if name in provenance)
