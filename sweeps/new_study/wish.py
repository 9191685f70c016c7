"""What a user wants of a first study, and its text as a commented YAML file."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling.spec import Precision, Scoring

STRATEGIES = ("efin", "joint", "frozen_encoder")
"""The question of the project, its baseline, and what leaving the encoder alone would give."""

SCORING = {"zh": Scoring.MANDARIN, "en": Scoring.WHISPER_ENGLISH}
"""How texts of a language are usually compared; those of others as Whisper's basic normaliser does."""

Value = str | float | Sequence["Value"] | Mapping[str, "Value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A study before it has budgets. `data` are its fields below `data`."""

    name: str
    encoder: str
    llm: str
    data: Mapping[str, Value]
    precision: Precision

    def text(self, budgets: Sequence[float], language: str, price: str) -> str:
        """The study as a YAML file with remarks. `language` is the one spoken, `price` what `plan` says of its cost."""
        scoring = SCORING.get(language, Scoring.WHISPER_BASIC)
        lines = [
            "# A first study, written by `asr-scaling init`. Every field is explained in docs/study-fields.md.",
            f"name: {_yaml(self.name)}",
            "",
            "# FLOPs charged to each run, smallest first: half a decade apart, so that a law shows. More budgets can",
            f"# be added later, and what exists is reused. {price}",
            f"budgets_flops: [{', '.join(f'{budget:g}'.replace('e+', 'e') for budget in budgets)}]",
            "",
            "# A shipped row, a hub name or a Hugging Face directory each; several pairs are several curves.",
            f"models: [{_yaml({'encoder': self.encoder, 'llm': self.llm})}]",
            "",
            "# What is compared. A strategy of your own is a list of stages: docs/study-fields.md shows one.",
            f"strategies: {_yaml(STRATEGIES)}",
            "",
            "# One seed cannot tell luck from gain; [0, 1, 2] can, at three times the price.",
            "seeds: [0]",
            "",
            "# Corpora in their own layout. Errors are measured on `test`; `dev` is for choices (`tune`).",
            f"data: {_yaml(self.data)}",
            "",
            "# The language that is spoken, as Whisper's code.",
            f"language: {_yaml(language)}",
            "",
            "# How texts are compared: plain, whisper-english, whisper-basic, mandarin or wenet.",
            f"scoring: {scoring}",
            "",
            "# fp32 repeats bit for bit on CPUs; bf16 is what GPUs are fast in.",
            f"precision: {self.precision}",
        ]
        return "\n".join(lines) + "\n"


def as_seen_from(folder: Path, path: str | Path) -> str:
    """A path as a study in `folder` names it: relative where it lies inside, else absolute."""
    absolute = os.path.abspath(Path(path).expanduser())  # noqa: PTH100
    inside = os.path.relpath(absolute, os.path.abspath(folder))  # noqa: PTH100
    return absolute if inside.startswith("..") else inside


def _yaml(value: Value) -> str:
    """A value in one line of YAML: names stand bare, other texts as in JSON."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_yaml(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, str):
        bare = re.fullmatch(r"[A-Za-z_/.][\w./+-]*", value, re.ASCII) and value.lower() not in ("true", "false", "null")
        return value if bare else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return f"{value:g}"
