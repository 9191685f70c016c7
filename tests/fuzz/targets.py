"""Every reader of the product with valid input for it, made here from nothing, and how it is asked to read."""

import contextlib
import csv
import io
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1] / "sweeps"))
from corpora import CORPORA, RATE, write_corpora
from mutations import damaged_text, hostile
from small_study import ENCODER, LLM, study_fields, write_manifest, write_model


@dataclass
class World:
    """Valid input of every kind under one folder, made when first asked for."""

    root: Path

    def __post_init__(self) -> None:
        os.environ["ASR_SCALING_CACHE"] = str(self.root / "cache")

    @cached_property
    def speech(self) -> Path:
        """A study, its manifests and its models, with relative paths."""
        folder = self.root / "speech"
        for seed, (name, utterances) in enumerate({"train": 24, "dev": 3, "test": 3}.items()):
            write_manifest(folder, name, utterances, seed)
        write_model(folder / "encoder", ENCODER)
        write_model(folder / "llm", LLM)
        fields = study_fields(Path())
        fields |= {"seeds": [0], "scoring": "plain", "hours": 1.0, "budgets_flops": [2e9, 4e9, 8e9, 1.6e10]}
        fields["strategies"] = ["joint", {"preset": "efin", "name": "mine", "shares": [0.5, 0.2, 0.3]}]
        (folder / "study.yaml").write_text(json.dumps(fields, indent=1))
        return folder

    @cached_property
    def finished(self) -> Path:
        """The speech, and the results of its study (simulated)."""
        folder = self.root / "finished"
        shutil.copytree(self.speech, folder)
        cli("run", folder / "study.yaml", "--simulate", "--out", folder / "out")
        cli("fit", folder / "out")
        return folder

    @cached_property
    def tables(self) -> Path:
        """One table of runs in every format, and the stored fits of it."""
        import pandas as pd

        folder = self.root / "tables"
        folder.mkdir()
        rng = np.random.default_rng(0)
        rows = [
            {"strategy": name, "flops": flops, "budget_flops": flops, "seed": seed, "key": f"{name}{flops}{seed}",
             "cer": float((0.03 + 0.3 * (flops / 1e11) ** -power) * np.exp(0.03 * rng.standard_normal())),
             "wer": 0.2, "ref_chars": 5000, "ref_words": 900, "params": 1e6 * (1 + seed), "tokens": flops / 6e6,
             "encoder": "a", "llm": "b", "status": "ok"}
            for name, power in (("efin", 0.3), ("joint", 0.4))
            for flops in (1e11, 3e11, 1e12, 3e12, 1e13)
            for seed in (0, 1)
        ]  # fmt: skip
        frame = pd.DataFrame(rows)
        frame.to_parquet(folder / "runs.parquet")
        for name, delimiter in (("runs.csv", ","), ("runs.tsv", "\t")):
            with (folder / name).open("w", newline="") as out:
                writer = csv.DictWriter(out, rows[0], delimiter=delimiter)
                writer.writeheader()
                writer.writerows(rows)
        (folder / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "runs.json").write_text(json.dumps(rows))
        cli("fit", folder / "runs.jsonl", "--out", folder / "fits.json")
        return folder

    @cached_property
    def transcripts(self) -> Path:
        """Hypotheses and references, in both formats."""
        folder = self.root / "transcripts"
        folder.mkdir()
        rows = [
            {"id": f"u{i}", "speaker": f"s{i % 3}", "test": "t", "ref": "打开 a b 8.5", "hyp": "打 ab"}
            for i in range(6)
        ]
        (folder / "both.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "hyp.txt").write_text("".join(f"{row['id']} {row['hyp']}\n" for row in rows))
        (folder / "ref.jsonl").write_text("".join(json.dumps({"id": r["id"], "text": r["ref"]}) + "\n" for r in rows))
        return folder

    @cached_property
    def corpora(self) -> Path:
        """A corpus in every layout."""
        write_corpora(self.root / "corpora")
        return self.root / "corpora"

    @cached_property
    def cache(self) -> Path:
        """What planning a study leaves in the cache, and where the study lies."""
        folder = self.root / "warm"
        with _cache_at(folder):
            cli("plan", self.speech / "study.yaml")
        (folder / "study").write_text(str(self.speech / "study.yaml"))
        return folder

    @cached_property
    def checkpoint(self) -> Path:
        """A checkpoint of a stage."""
        import torch

        from scaling.asr.checkpoint import Checkpoint, Progress, save

        folder = self.root / "checkpoint"
        folder.mkdir()
        weights = {"projector/fc1.weight": torch.zeros(4, 4)}
        save(folder / "final", Checkpoint(weights, None, Progress.beginning(10)))
        return folder

    @cached_property
    def export(self) -> Path:
        """An exported recogniser that writes through its encoder-decoder."""
        from scaling.base_models.lookup import MINIS

        folder = self.root / "export"
        shutil.copytree(MINIS / "encoders" / "mini-s", folder / "encoder")
        schema = {"schema": "asr-scaling/recognizer-1", "objective": "asr", "language": "zh", "scoring": "plain"}
        (folder / "recognizer.json").write_text(json.dumps(schema))
        return folder

    @cached_property
    def audio(self) -> Path:
        """Short recordings in several formats."""
        folder = self.root / "audio"
        folder.mkdir()
        for rate in (8_000, 16_000, 44_100):
            noise = 0.1 * np.random.default_rng(rate).standard_normal((rate // 3, 1 + (rate == 44_100)))
            for kind in ("wav", "flac", "ogg", "mp3", "aiff", "au", "w64", "caf"):
                soundfile.write(folder / f"{rate}.{kind}", noise, rate)
        return folder


class Refused(Exception):
    """A command ended with exit code 2; the message is what it said on stderr."""


class Torn(Exception):
    """A command answered with something that is not what it says it prints."""


def cli(*arguments: object) -> None:
    """The command line as the shell starts it, in this process. Raises Refused on exit code 2.

    With --json the answer must be one JSON document.
    """
    from scaling import cli as front_door

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))  # as strict about text as a terminal
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _called_with(arguments):
        code = _exit_code(front_door.main)
    if code == 2:
        raise Refused(_written(err))
    if code not in (0, 1):
        raise Torn(f"exit code {code}")
    if "--json" in arguments:
        try:
            json.loads(_written(out), parse_constant=_no_constant)
        except ValueError as error:
            raise Torn(f"not JSON: {error}") from error


@contextlib.contextmanager
def _called_with(arguments: tuple[object, ...]) -> Iterator[None]:
    before, sys.argv = sys.argv, ["asr-scaling", *map(str, arguments)]
    try:
        yield
    finally:
        sys.argv = before


def _exit_code(program: Callable[[], None]) -> object:
    try:
        program()
    except SystemExit as left:
        return left.code or 0
    return 0


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


Argument = TypeVar("Argument")
Read = Callable[[Path, random.Random], None]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Valid input (`source` of a world), the files of it that are damaged, and what reads them."""

    source: Callable[[World], Path]
    damaged: tuple[str, ...]
    read: Read
    may_write: tuple[str, ...] = ()
    may_fail: bool = True

    def lay_out(self, world: World, folder: Path) -> None:
        """A copy of the valid input, in place of what lay in `folder`."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.source(world), folder)

    def begin(self, world: World) -> None:
        """Read undamaged input until something is answered: what refuses everything passes every other test."""
        for seed in range(300):
            self.lay_out(world, world.root / "case")
            with contextlib.suppress(Refused):
                return self.read(world.root / "case", random.Random(seed))
        raise AssertionError("valid input is refused")

    def files(self, folder: Path) -> Iterable[Path]:
        return [path for pattern in self.damaged for path in folder.glob(pattern)]


def _plan(folder: Path, rng: random.Random) -> None:
    cli("plan", folder / "study.yaml", *_sometimes(rng, "--json"))


HARMLESS = ("hours=0.5", "seeds.0=3", "name=other", "threads=2")
"""Settings that a study takes, some of them beside hostile ones: so they meet, and `begin` soon has an answer."""


def _set(folder: Path, rng: random.Random) -> None:
    keys = ("budgets_flops", "models.0.encoder", "models.0.lr_scale", "models.0.llm_lora.rank", "strategies", "seeds.0",
            "data.train", "data.test.clean", "hours", "threads", "precision", "scoring", "prompt", "betas", "name",
            "strategies.1.shares.0", "cooldown", "language", "tracker")  # fmt: skip
    settings = []
    for _ in range(rng.choice((1, 1, 2))):
        if rng.random() < 0.2:
            settings += ["--set", rng.choice(HARMLESS)]
            continue
        text = f"{rng.choice(keys)}={json.dumps(hostile(rng)) if rng.random() < 0.7 else hostile(rng)}"
        settings += ["--set", damaged_text(text, rng) if rng.random() < 0.5 else text]
    cli("plan", folder / "study.yaml", *settings, *_sometimes(rng, "--json"))


def _use_model(folder: Path, rng: random.Random) -> None:
    if rng.random() < 0.5:
        cli("plan", folder / "study.yaml")
    else:
        cli("flops", "--encoder", folder / "encoder", "--llm", folder / "llm", *_sometimes(rng, "--json"))


def _recordings(folder: Path, rng: random.Random) -> None:
    from scaling.speech.audio import read_clip
    from scaling.speech.recordings import find_recordings

    for recording in find_recordings([folder], 30.0, mix_channels=True):
        read_clip(recording.clip)


def _named_recordings(folder: Path, rng: random.Random) -> None:
    from scaling.speech.recordings import find_recordings

    find_recordings([folder / "test.jsonl", *_sometimes(rng, folder / "test")], 30.0)


def _read_corpus(folder: Path, rng: random.Random) -> None:
    from scaling.speech.audio import read_clip
    from scaling.speech.manifest import read_manifest

    manifest = read_manifest(folder / rng.choice(CORPORA), max_bad_share=rng.choice((0.01, 1.0)))
    for clip in manifest.audio:
        assert len(read_clip(clip)) < 100 * RATE


def _plan_from_cache(folder: Path, rng: random.Random) -> None:
    """A damaged cache costs time, never the answer."""
    with _cache_at(folder):
        cli("plan", (folder / "study").read_text())


@contextlib.contextmanager
def _cache_at(folder: Path) -> Iterator[None]:
    before, os.environ["ASR_SCALING_CACHE"] = os.environ["ASR_SCALING_CACHE"], str(folder)
    try:
        yield
    finally:
        os.environ["ASR_SCALING_CACHE"] = before


def _load_checkpoint(folder: Path, rng: random.Random) -> None:
    from scaling.asr.checkpoint import load

    load(folder / "final")


def _load_export(folder: Path, rng: random.Random) -> None:
    from scaling.asr.use.export_folder import read_export
    from sweeps.finished.find_run import exported_encoder, exported_scoring

    exported_encoder(folder)
    exported_scoring(folder)
    read_export(folder)


def _results(folder: Path, rng: random.Random) -> None:
    out = folder / "out"
    simulated = ("run", folder / "study.yaml", "--simulate", "--out", out)
    verbs: list[tuple[object, ...]] = [
        ("status", out), ("plan", folder / "study.yaml", "--out", out), simulated, simulated, ("fit", out),
        ("compare", out, "--baseline", "joint"), ("predict", out, "--flops", "1e11"), ("report", out),
        ("recommend", out, "--flops", "1e11"), ("forecast", out), ("transcribe", out, folder / "test.jsonl"),
        ("forecast", out, "--register", "--flops", "1e11,3e11"), ("merge", out, "--out", folder / "merged"),
        ("export", out, folder / "exported"), ("gc", out), ("gc", out, "--dry-run"),
    ]  # fmt: skip
    verb = rng.choice(verbs)
    cli(*verb, *(() if verb[0] == "report" else _sometimes(rng, "--json")))


def _ask_table(folder: Path, rng: random.Random) -> None:
    table = rng.choice(sorted(folder.glob("runs.*"))) if any(folder.glob("runs.*")) else folder / "runs.csv"
    _ask(table, rng)


def _ask(table: Path, rng: random.Random) -> None:
    verbs: list[tuple[object, ...]] = [
        ("fit", table), ("fit", table, "--law", "chinchilla", "--columns", "N=params,D=tokens,y=cer"),
        ("fit", table, "--columns", "y=wer"), ("laws", table), ("compare", table, "--baseline", "joint"),
        ("predict", table, "--flops", "1e14"), ("recommend", table, "--cer", "0.05"), ("frontier", table, "--columns",
        "N=params,C=flops,y=cer"), ("design", table, "--flops", "1e14", "--spend", "1e14"),
    ]  # fmt: skip
    cli(*rng.choice(verbs), *_sometimes(rng, "--json"))


def _ask_damaged(folder: Path, rng: random.Random) -> None:
    """Whole tables, damaged questions."""
    table = folder / "runs.jsonl"
    number = (
        str(hostile(rng)) if rng.random() < 0.6 else rng.choice(("1e14", "-1", "0", "1e-30", "1e300", "nan", "inf"))
    )
    where = "flops <= 3e12 and strategy in ['efin', 'joint'] or not `cer` > 0.5"
    columns = "N=params,D=tokens,y=cer"
    verbs: list[tuple[object, ...]] = [
        ("fit", table, "--where", damaged_text(where, rng)), ("fit", table, "--columns", damaged_text(columns, rng)),
        ("fit", table, "--law", str(hostile(rng))), ("fit", table, "--loss", str(hostile(rng))),
        ("predict", table, "--flops", number), ("recommend", table, "--flops", number),
        ("recommend", table, "--cer", number), ("compare", table, "--baseline", str(hostile(rng))),
        ("compare", table, "--baseline", "joint", "--flops", number), ("laws", table, "--flops", number),
        ("predict", table, "--at", damaged_text("N=1e6,D=1e9", rng)),
        ("design", table, "--flops", number, "--spend", "1e14"),
        ("design", table, "--flops", "1e14", "--spend", number), ("coverage", table, "--sets", "2", "--flops", number),
        ("recommend", table, "--usd", number, "--hardware", "h100-sxm"),
        ("flops", "--encoder", "whisper-tiny", "--llm", "Qwen2.5-0.5B", "--audio-seconds", number),
        ("flops", "--encoder", "whisper-tiny", "--llm", "Qwen2.5-0.5B", "--batch", number, "--budget", number),
        ("score", folder / "runs.jsonl", "--scoring", str(hostile(rng))),
    ]  # fmt: skip
    cli(*(str(argument).replace("\0", "") for argument in rng.choice(verbs)), *_sometimes(rng, "--json"))


def _ask_fits(folder: Path, rng: random.Random) -> None:
    cli("predict", folder / "fits.json", "--flops", "1e14", *_sometimes(rng, "--json"))


def _score(folder: Path, rng: random.Random) -> None:
    files = rng.choice([(folder / "both.jsonl",), (folder / "hyp.txt", folder / "ref.jsonl")])
    cli(
        "score",
        *files,
        "--scoring",
        rng.choice(("plain", "mandarin", "wenet", "whisper-english")),
        *_sometimes(rng, "--json"),
    )


def _sometimes(rng: random.Random, option: Argument) -> list[Argument]:
    return [option] if rng.random() < 0.5 else []


CACHED = ("utterances/*/meta.json", "digests/*", "tokens/*")
"""What of a cache is damaged at will; columns are known by their sizes alone (tests/scaling/speech/test_lengths.py)."""

TARGETS = {
    "study": Target(source=lambda world: world.speech, damaged=("study.yaml",), read=_plan),
    "set": Target(source=lambda world: world.speech, damaged=(), read=_set),
    "manifest": Target(source=lambda world: world.speech, damaged=("*.jsonl", "test/*.wav"), read=_plan),
    "model": Target(source=lambda world: world.speech, damaged=("encoder/*", "llm/*"), read=_use_model),
    "audio": Target(source=lambda world: world.audio, damaged=("*",), read=_recordings),
    "recordings": Target(source=lambda world: world.speech, damaged=("test.jsonl", "test/*"), read=_named_recordings),
    "corpora": Target(
        source=lambda world: world.corpora,
        damaged=("**/*.*", "**/text", "**/utt2*", "**/segments"),
        read=_read_corpus,
    ),
    "cache": Target(source=lambda world: world.cache, damaged=CACHED, read=_plan_from_cache, may_fail=False),
    "checkpoint": Target(source=lambda world: world.checkpoint, damaged=("final/*",), read=_load_checkpoint),
    "export": Target(source=lambda world: world.export, damaged=("recognizer.json", "encoder/*"), read=_load_export),
    "results": Target(
        source=lambda world: world.finished,
        damaged=("out/*.json*", "out/simulated/stages/*/*", "out/utterances/*"),
        read=_results,
        may_write=("out/report.html",),
    ),
    "table": Target(source=lambda world: world.tables, damaged=("runs.*",), read=_ask_table),
    "question": Target(source=lambda world: world.tables, damaged=(), read=_ask_damaged),
    "fits": Target(source=lambda world: world.tables, damaged=("fits.json",), read=_ask_fits),
    "score": Target(source=lambda world: world.transcripts, damaged=("*",), read=_score),
}
"""By name."""
