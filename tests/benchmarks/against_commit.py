"""What the work of a user costs with this code and with that of an earlier commit, the sides in turns.

    python tests/benchmarks/against_commit.py COMMIT [PACKAGE ...]

Both sides run in the environment of this interpreter, on one thread, each with a cache of its own; PACKAGE is what the
earlier code needs besides (544812c: orjson). For each piece of work the record has the least of the rounds on each
side, and new over old. Seconds of a corpus, of decoding and of a whole small study are of processor, with all processes
that take part; milliseconds of a step are those that a run records. Nothing else may run meanwhile. Writes
results/benchmarks/against_commit.json.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from record import machine, write

ROOT = Path(__file__).parents[2]
ROUNDS = 3
COMMAND = (sys.executable, "-P", "-c", "import sys; from scaling.cli import main; sys.exit(main())")
HOURS, FEW, MANY = 0.5, 100, 3000
STUDY = f"""
name: small
budgets_flops: [1e11]
models: [{{encoder: mini-s, llm: mini-s}}]
strategies: [efin, joint, frozen_encoder]
data: {{corpus: synthetic-zh-digits, hours: {HOURS}}}
batch_audio_seconds: 2.5
warmup_steps: 10
"""
SPARE = """
name: spare
budgets_flops: [1e10]
models: [{{encoder: mini-s, llm: mini-s}}]
strategies: [joint]
data: {{train: {corpus}/dev.jsonl, dev: {corpus}/test.jsonl, test: {{test: {corpus}/{test}.jsonl}}}}
language: zh
batch_audio_seconds: 2.5
warmup_steps: 10
"""

Figures = dict[str, float]


def main(commit: str, *packages: str) -> None:
    """Measure both sides in turns and write the record."""
    with tempfile.TemporaryDirectory() as scratch:
        old, besides = Path(scratch, "old"), Path(scratch, "packages")
        if packages:
            subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", besides, *packages], check=True)
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "-q", "--detach", old, commit], check=True)
        paths = {"old": f"{old}{os.pathsep}{besides}", "new": str(ROOT)}
        try:
            rounds = [
                {side: measured(path, Path(scratch, f"{side}{n}")) for side, path in paths.items()}
                for n in range(ROUNDS)
            ]
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", old], check=True)
    sides = {side: [figures[side] for figures in rounds] for side in ("old", "new")}
    work = {}
    for name in rounds[0]["new"]:
        least = {side: min(figures[name] for figures in own) for side, own in sides.items()}
        work[name] = {side: round(value, 2) for side, value in least.items()}
        work[name]["new_over_old"] = round(least["new"] / least["old"], 3)
    write("against_commit", {"machine": machine(), "commit": commit, "rounds": ROUNDS, "work": work})


def measured(path: str, folder: Path) -> Figures:
    """Every figure of the side whose code lies on this path, in one round."""
    folder.mkdir()
    (folder / "study.yaml").write_text(STUDY)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": path, "ASR_SCALING_CACHE": str(folder / "cache")}

    def seconds(*arguments: object) -> float:
        """Of processor, of the command with these arguments and of all that it starts."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*COMMAND, *map(str, arguments)], cwd=folder, env=environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    plan = ("plan", "study.yaml", "--out", "runs")
    with_corpus, planning = seconds(*plan), seconds(*plan)
    running = seconds("run", "study.yaml", "--out", "runs", "--workers", 1)
    tested = [decoding(folder, utterances, seconds) for utterances in (FEW, MANY)]
    figures = {
        f"a corpus of {HOURS:g} h, seconds": with_corpus - planning,
        "three runs of 1e11 FLOPs, starts and tests counted, seconds": running,
        f"decoding {MANY - FEW} utterances in the test of a run, seconds": tested[1] - tested[0],
    }
    figures |= milliseconds_of_steps(folder / "runs" / "runs.jsonl")
    shutil.rmtree(folder)
    return figures


def decoding(folder: Path, utterances: int, seconds: Callable[..., float]) -> float:
    """What a short run costs that is tested on so many of the corpus's training utterances, and trains on others."""
    (corpus,) = (folder / "cache" / "corpora").glob("*/")
    lines = (corpus / "train.jsonl").read_text("utf-8").splitlines(keepends=True)[:utterances]
    (corpus / f"first-{utterances}.jsonl").write_text("".join(lines), "utf-8")
    (folder / "spare.yaml").write_text(SPARE.format(corpus=corpus, test=f"first-{utterances}"))
    return seconds("run", "spare.yaml", "--out", f"tested-{utterances}", "--workers", 1)


def milliseconds_of_steps(table: Path) -> Figures:
    """Of each stage of each strategy, as its run recorded them."""
    rows = [json.loads(line) for line in table.read_text("utf-8").splitlines()]
    return {
        f"a step of {row['strategy']}, stage {stage['name']}, milliseconds": 1e3 * stage["seconds"] / stage["steps"]
        for row in rows
        for stage in row["stages"]
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
