"""The questions that `init` asks on a terminal about what its options leave open; elsewhere all must be given."""

import sys
from dataclasses import replace

import typer

from scaling.errors import InputError
from sweeps.new_study.first_study import FirstStudyAnswers

ENCODER, LLM = "whisper-small", "Qwen2.5-0.5B"
"""Offered where the user names none: the smallest pair of the paper's scale."""
SPEND = "--flops, --usd or --device-hours"
"""The options that say what can be spent."""


def completed(answers: FirstStudyAnswers) -> FirstStudyAnswers:
    """The answers, completed by asking. Raises InputError where something is missing and nobody can be asked."""
    missing = _missing(answers)
    if not missing:
        return answers
    if not sys.stdin.isatty():
        raise InputError(f"init: {', '.join(missing)} missing; give them as options, or answer on a terminal")
    if not {"--corpus", "--train", "--dev", "--test"}.isdisjoint(missing):
        answers = replace(answers, corpus=_ask("Folder of the corpus, or synthetic-zh, synthetic-en"))
    if "--encoder" in missing:
        answers = replace(answers, encoder=_ask("Encoder", ENCODER))
    if "--llm" in missing:
        answers = replace(answers, llm=_ask("LLM", LLM))
    if SPEND in missing:
        if not answers.hardware:
            answers = replace(answers, hardware=_ask("Hardware, such as h100-sxm (empty: this machine)", "") or None)
        answers = replace(answers, device_hours=_ask_number("Device-hours that can be spent"))
    if answers.spoken is None:
        answers = replace(answers, language=_ask("Language that is spoken, as Whisper's code, such as zh or en"))
    return answers


def _missing(answers: FirstStudyAnswers) -> list[str]:
    sets = {"--train": answers.train, "--dev": answers.dev, "--test": answers.test}
    has_spend = answers.flops or answers.usd or answers.device_hours
    wanted = {
        **(sets if any(sets.values()) and not answers.corpus else {"--corpus": answers.corpus or all(sets.values())}),
        "--encoder": answers.encoder,
        "--llm": answers.llm,
        SPEND: has_spend,
    }
    return [option for option, given in wanted.items() if not given]


def _ask(question: str, default: str | None = None) -> str:
    return str(typer.prompt(question, default=default, err=True)).strip()


def _ask_number(question: str) -> float:
    return float(typer.prompt(question, type=float, err=True))
