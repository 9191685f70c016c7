"""Makes the miniature base models.

    python -m scaling.asr.pretraining.pretrain encoder mini-s
    python -m scaling.asr.pretraining.pretrain llm mini-s
    python -m scaling.asr.pretraining.pretrain all

Each becomes a Hugging Face directory with `making.json` beside the weights: training data, steps, FLOPs and errors. One
thread and one seed give the same weights on the same type of machine.
"""

import json
import multiprocessing
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM, WhisperForConditionalGeneration

from scaling.asr.model.log_mel import LogMel
from scaling.asr.pretraining.mini_encoder import encoder_cer, pretrain_encoder, read_corpus
from scaling.asr.pretraining.mini_llm import llm_losses, pretrain_llm
from scaling.asr.pretraining.mini_models import ENCODERS, LLMS, features, new_encoder, new_llm, new_tokenizer, save
from scaling.asr.pretraining.optimizer_loop import PretrainingResult, Schedule
from scaling.errors import InputError, nearest
from scaling.speech.synthetic.corpus_files import Manifests, write_corpus
from scaling.speech.synthetic.recipes import RECIPES
from scaling.system.console import log

SCHEMA = 1
MINIS = Path(__file__).parents[2] / "minis"
RECIPE = RECIPES["general"]
HOURS = 8.0
"""Training audio: 42,708 utterances, each of which an encoder reads three to five times."""

DEV_SETS = (
    "general", "general-zh-digits", "synthetic-zh-digits", "synthetic-zh", "synthetic-en-digits", "synthetic-en",
)  # fmt: skip
"""The sets that a finished encoder is tested on: its own domain, and the shifted domain that it was not trained on."""

ENCODER_SCHEDULES = {
    "mini-s": Schedule(steps=6000, peak_lr=4e-3),
    "mini-m": Schedule(steps=5000, peak_lr=2.5e-3),
    "mini-l": Schedule(steps=6500, peak_lr=2e-3),
}
LLM_SCHEDULES = {
    "mini-s": Schedule(steps=3000, peak_lr=4e-3),
    "mini-m": Schedule(steps=3500, peak_lr=2e-3),
    "mini-l": Schedule(steps=2400, peak_lr=1.5e-3),
}
"""About three to eleven minutes each at the 25 (smallest encoder) to 60 GFLOP/s of one idle core. Learning rates fall
with the width: at 4e-3, the error of the encoder mini-m was twice as high (LOG.md)."""

LLM_BATCHES = {"mini-s": 48, "mini-m": 48, "mini-l": 24}
"""Texts a step: fewer for the largest model, which so takes more steps in its time."""

app = typer.Typer(help="Make the miniature base models.", no_args_is_help=True, add_completion=False)

Name = Annotated[str, typer.Argument(help="mini-s, mini-m or mini-l")]
Corpora = Annotated[Path, typer.Option(help="Where the synthetic corpora are, or are made.")]
Out = Annotated[Path, typer.Option(help="The folder that holds `encoders` and `llms`.")]
Hours = Annotated[float, typer.Option(help="Training audio of the general domain.")]
Steps = Annotated[int | None, typer.Option(help="Optimizer steps instead of the size's own.")]
Seed = Annotated[int, typer.Option(help="Of initial weights, data order and soft prefixes.")]


@app.command("encoder")
def encoder(
    name: Name,
    corpora: Corpora = Path("build/corpora"),
    out: Out = MINIS,
    hours: Hours = HOURS,
    steps: Steps = None,
    seed: Seed = 0,
) -> None:
    """Pretrain a Whisper-shaped encoder-decoder on the general domain, half cross-entropy, half CTC."""
    schedule = _schedule(ENCODER_SCHEDULES, name, steps)
    _one_thread(seed)
    tokenizer, log_mel = new_tokenizer(), _log_mel()
    corpus = read_corpus(_rows(_corpus(RECIPE.name, corpora, hours).train), log_mel, tokenizer)
    model = new_encoder(ENCODERS[name], len(tokenizer))
    result = pretrain_encoder(model, corpus, schedule, seed=seed)
    cers = {
        recipe: encoder_cer(model, read_corpus(_rows(_corpus(recipe, corpora).dev), log_mel, tokenizer), tokenizer)
        for recipe in DEV_SETS
    }
    making = _making(schedule, result, seed) | {"hours": hours, "utterances": len(corpus.texts), "dev_cer": cers}
    _write(model, tokenizer, making, out / "encoders" / name)


@app.command("llm")
def llm(name: Name, out: Out = MINIS, steps: Steps = None, seed: Seed = 0) -> None:
    """Pretrain a Qwen2-shaped language model on text, and on reading soft prefixes."""
    schedule = _schedule(LLM_SCHEDULES, name, steps)
    _one_thread(seed)
    tokenizer = new_tokenizer()
    model = new_llm(LLMS[name], len(tokenizer))
    result = pretrain_llm(model, tokenizer, RECIPE, schedule, batch=LLM_BATCHES[name], seed=seed)
    losses = {
        recipe: llm_losses(model, tokenizer, RECIPES[recipe], seed=seed) for recipe in ("general", "general-zh-digits")
    }
    making = _making(schedule, result, seed) | {"batch": LLM_BATCHES[name], "held_out_nats": losses}
    _write(model, tokenizer, making, out / "llms" / name)


@app.command("all")
def all_(
    corpora: Corpora = Path("build/corpora"),
    out: Out = MINIS,
    hours: Hours = HOURS,
    steps: Steps = None,
    seed: Seed = 0,
) -> None:
    """Make every mini, two at a time."""
    _corpus(RECIPE.name, corpora, hours)
    with ProcessPoolExecutor(max_workers=2, mp_context=multiprocessing.get_context("spawn")) as pool:
        makings = [pool.submit(encoder, name, corpora, out, hours, steps, seed) for name in ENCODERS]
        makings += [pool.submit(llm, name, out, steps, seed) for name in LLMS]
        for making in makings:
            making.result()


def _schedule(schedules: dict[str, Schedule], name: str, steps: int | None) -> Schedule:
    if name not in schedules:
        raise InputError(f"no mini of the name {name!r}{nearest(name, schedules)}")
    if steps is not None and steps < 1:
        raise InputError(f"--steps is {steps}; expected at least 1")
    return schedules[name] if steps is None else Schedule(steps=steps, peak_lr=schedules[name].peak_lr)


def _one_thread(seed: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(seed)


def _log_mel() -> LogMel:
    with tempfile.TemporaryDirectory() as folder:
        features().save_pretrained(folder)
        return LogMel.from_directory(Path(folder))


def _corpus(recipe: str, corpora: Path, hours: float = 0.01) -> Manifests:
    """A synthetic corpus; the default is enough for its dev set, which does not depend on the hours."""
    return write_corpus(RECIPES[recipe], corpora / f"{recipe}-{hours:g}h", hours=hours)


def _rows(manifest: Path) -> list[tuple[Path, str]]:
    rows = [json.loads(line) for line in manifest.read_text("utf-8").splitlines()]
    return [(manifest.parent / row["audio_filepath"], row["text"]) for row in rows]


def _making(schedule: Schedule, result: PretrainingResult, seed: int) -> dict[str, object]:
    return {"schema": SCHEMA, "recipe": RECIPE.name, "seed": seed} | asdict(schedule) | asdict(result)


def _write(
    model: WhisperForConditionalGeneration | Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    making: dict[str, object],
    directory: Path,
) -> None:
    """Replace the directory in one step, so that nobody reads half a model."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent) as folder:
        new_directory = Path(folder) / directory.name
        save(model, tokenizer, new_directory)
        making |= {"parameters": sum(parameter.numel() for parameter in model.parameters())}
        (new_directory / "making.json").write_text(json.dumps(making, indent=1) + "\n", "utf-8")
        shutil.rmtree(directory, ignore_errors=True)
        new_directory.rename(directory)
    log(f"{directory}: {json.dumps(making)}")


def main() -> None:
    """Run the command line; an `InputError` is one line on stderr and exit code 2."""
    try:
        app()
    except InputError as error:
        log(f"error: {error}")
        sys.exit(2)


if __name__ == "__main__":
    main()
