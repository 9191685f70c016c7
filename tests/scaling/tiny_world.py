"""The smallest corpora and models that the trainer runs with: tones that spell digits, and untrained models of a few
thousand parameters.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from safetensors.torch import load_file

from scaling.asr.__main__ import work
from scaling.asr.pretraining.mini_models import EncoderSize, LlmSize, new_encoder, new_llm, new_tokenizer, save
from scaling.ledger.events import read_events
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import PlanFile
from scaling.ledger.records import RunRow
from scaling.system.yaml_file import to_yaml
from sweeps.plan.prepare import prepare
from sweeps.plan.write_plan import write_plan_file
from sweeps.progress.results_table import Collector

ENCODER = EncoderSize(name="tiny", width=16, encoder_layers=2, decoder_layers=1, heads=2)
LLM = LlmSize(name="tiny", width=24, layers=2, heads=2)

ENCODER_ONLY = {
    "name": "encoder-only",
    "stages": [{"name": "encoder", "objective": "asr", "trains": ["encoder", "asr_decoder"], "share": 1.0}],
}
"""Writes through the encoder's own decoder."""


class NeverStop:
    asked = False


def write_models(folder: Path, encoder: EncoderSize = ENCODER) -> None:
    tokenizer = new_tokenizer()
    torch.manual_seed(0)
    save(new_encoder(encoder, len(tokenizer)), tokenizer, folder / "encoder")
    save(new_llm(LLM, len(tokenizer)), tokenizer, folder / "llm")


def write_speech(folder: Path, name: str, utterances: int, seed: int, digits: tuple[int, int] = (1, 5)) -> None:
    """Digit strings as tones of 80 ms, whose pitch is the digit, with a little noise. `digits`: fewest and most."""
    rng = np.random.default_rng(seed)
    (folder / name).mkdir(parents=True)
    rows = []
    for number in range(utterances):
        string = rng.integers(0, 10, rng.integers(digits[0], digits[1] + 1))
        time = np.arange(int(0.08 * 16_000)) / 16_000
        tones = np.concatenate([np.sin(2 * np.pi * (300 + 250 * digit) * time) for digit in string])
        audio = 0.5 * tones + 0.01 * rng.standard_normal(len(tones))
        soundfile.write(folder / name / f"{number}.wav", audio, 16_000, subtype="PCM_16")
        text = "".join(map(str, string))
        path = f"{name}/{number}.wav"
        rows.append(
            {"audio_filepath": path, "duration": len(audio) / 16_000, "text": text, "speaker": f"s{number % 3}"}
        )
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_world(folder: Path) -> Path:
    write_models(folder)
    for seed, (name, utterances) in enumerate({"train": 60, "dev": 8, "test": 10}.items()):
        write_speech(folder, name, utterances, seed)
    return folder


def write_study(world: Path, **fields: Any) -> Path:
    study = {
        "name": "tiny",
        "budgets_flops": [1e8],
        "models": [{"encoder": "encoder", "llm": "llm"}],
        "strategies": ["efin", "joint"],
        "language": "zh",
        "seeds": [0],
        "data": {"train": "train.jsonl", "dev": "dev.jsonl", "test": {"clean": "test.jsonl"}},
        "batch_audio_seconds": 1.0,
        "warmup_steps": 3,
        "tracker": "none",
    }
    path = world / f"study-{abs(hash(json.dumps(fields, sort_keys=True)))}.yaml"
    path.write_text(to_yaml(study | fields))
    return path


def order(study: Path, out: Path) -> PlanFile:
    """Enter the study's plan into a ledger at `out`, as `asr-scaling run` does."""
    ledger = Ledger(out)
    prepared = prepare(str(study), [], ledger)
    return write_plan_file(prepared.study, prepared.plan, out, ledger)


def train_study(study: Path, out: Path) -> list[dict[str, Any]]:
    """Train every run of the study in this process; the rows of its table."""
    plan_file = order(study, out)
    assert work(plan_file.ledger, plan_file, NeverStop()) == 0
    return [row.as_json() for row in Collector(plan_file).collect()]


@dataclass(frozen=True)
class Finished:
    """A trained study: its folder, and the rows of its table by strategy."""

    out: Path
    rows: dict[str, dict[str, Any]]

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.out)

    def utterances(self, strategy: str) -> list[dict[str, Any]]:
        """The hypothesis and errors of each test utterance of a run."""
        lines = (self.out / "utterances" / f"{self.rows[strategy]['key']}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def trains(out: Path, attempt: str = "0001") -> bool:
    """Whether a worker has logged a step, in an attempt of this number."""
    events = (event for path in out.glob(f"stages/*/attempts/{attempt}/events.jsonl") for event in read_events(path))
    return any(event.event == "progress" for event in events)


CLOCK = ("seconds", "spent", "finished", "provenance")
"""Fields of a row that depend on the clock, the machine, or the start of a node."""


def timeless(row: dict[str, Any] | RunRow) -> dict[str, Any]:
    """A row of the table without the fields that depend on the clock, the machine, or the start of a node."""
    row = row.as_json() if isinstance(row, RunRow) else row
    fields = {name: value for name, value in row.items() if name not in CLOCK}
    return fields | {"stages": [{k: v for k, v in stage.items() if k != "seconds"} for stage in row["stages"]]}


def final_weights(ledger: Ledger, key: str) -> dict[str, torch.Tensor]:
    return load_file(ledger.folder(key) / ledger.result(key).checkpoint / "weights.safetensors")


def assert_same_weights(weights: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert weights.keys() == other.keys()
    for name, tensor in weights.items():
        assert torch.equal(tensor, other[name]), name


class StopAfter:
    """`asked` turns true when it was read so many times during training. Reads during an evaluation do not count: a
    stopped evaluation would be repeated for ever.
    """

    def __init__(self, reads: int) -> None:
        self._reads = reads

    @property
    def asked(self) -> bool:
        frame = sys._getframe()
        while frame is not None and frame.f_code.co_name != "evaluate":
            frame = frame.f_back
        self._reads -= frame is None
        return self._reads < 0
