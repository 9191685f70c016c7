"""The commands that plan and run studies. Slow imports stay inside the commands, so that --help answers at once."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scaling.system.console import emit, log
from sweeps.launchers.options import Launcher

app = typer.Typer()

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A study's YAML file, or a shipped study's name.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a field, for example --set budgets_flops=[1e11,1e12]."),
]
LedgerOption = Annotated[
    Path | None, typer.Option("--ledger", metavar="ROOT", help="Folder of trained stages; default: DIR.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
KeyOption = Annotated[
    str | None, typer.Option("--run", metavar="KEY", help="The run with this key; default: lowest dev CER.")
]
StrategyOption = Annotated[str | None, typer.Option("--strategy", metavar="S", help="Choose among runs of S.")]


def _devices(beginning: str) -> list[str]:
    """What a shell offers for --hardware."""
    from scaling.cost.hardware import HARDWARE

    return [name for name in HARDWARE if name.startswith(beginning.lower())]


HardwareOption = Annotated[
    str | None,
    typer.Option(
        "--hardware",
        metavar="NAME",
        help="Device for the costs; default: this machine.",
        autocompletion=_devices,
    ),
]
MfuOption = Annotated[float | None, typer.Option("--mfu", help="Share of the device's peak that training reaches.")]
UsdOption = Annotated[float | None, typer.Option("--usd-per-hour", help="Price of a device-hour.")]
MaxFlopsOption = Annotated[float | None, typer.Option("--max-flops", help="Refuse a study of more FLOPs.")]
MaxHoursOption = Annotated[float | None, typer.Option("--max-hours", help="Refuse a study of more device-hours.")]
MaxUsdOption = Annotated[float | None, typer.Option("--max-usd", help="Refuse a study of more USD.")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, metavar="N", help="At most N; default: cores / threads here, 4 elsewhere."),
]
OnOption = Annotated[Launcher, typer.Option("--on", help="Where the workers run.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study.")]


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new study file.")] = Path("study.yaml"),
    corpus: Annotated[
        str | None, typer.Option(help="Folder with train, dev and test sets, or a made corpus such as synthetic-zh.")
    ] = None,
    corpus_hours: Annotated[float, typer.Option(min=0.01, help="Hours of a made corpus.")] = 4.0,
    train: Annotated[str | None, typer.Option(help="Training set, where it is not found in --corpus.")] = None,
    dev: Annotated[str | None, typer.Option(help="Dev set, likewise.")] = None,
    test: Annotated[list[str] | None, typer.Option(metavar="NAME=FILE", help="Test set, likewise; repeatable.")] = None,
    language: Annotated[str | None, typer.Option(help="Whisper's code; by default what the corpus says.")] = None,
    encoder: Annotated[str, typer.Option(help="A shipped row, a hub name or a Hugging Face directory.")] = "",
    llm: Annotated[str, typer.Option(help="As --encoder.")] = "",
    flops: Annotated[float | None, typer.Option(help="What can be spent, in FLOPs.")] = None,
    usd: Annotated[float | None, typer.Option(help="What can be spent, in dollars.")] = None,
    device_hours: Annotated[float | None, typer.Option(help="What can be spent, in hours of --hardware.")] = None,
    hardware: HardwareOption = None,
    usd_per_hour: UsdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a first study to FILE: budgets that can be paid, scoring and language, every field with a remark. What is
    not given is asked for on a terminal.
    """
    from sweeps.new_study.first_study import Answers, named_sets, write_first_study
    from sweeps.new_study.questions import completed

    answers = Answers(
        corpus=corpus,
        corpus_hours=corpus_hours,
        train=train,
        dev=dev,
        test=named_sets(test or []),
        language=language,
        encoder=encoder,
        llm=llm,
        flops=flops,
        usd=usd,
        device_hours=device_hours,
        hardware=hardware,
        usd_per_hour=usd_per_hour,
    )
    written = write_first_study(file, completed(answers))
    emit(written.as_document() if as_json else written.as_text())


@app.command()
def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="The same as the page docs/study-fields.md.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the JSON schema of a study file, for editors: every field with its meaning, bounds and default."""
    from sweeps.study.field_reference import json_schema, reference_page

    emit(reference_page().rstrip("\n") if markdown and not as_json else json_schema())


@app.command()
def plan(
    study: StudyArgument,
    set_: SetOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Count what is finished there.")] = None,
    ledger: LedgerOption = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, metavar="N", help="Estimate when so many workers are done.")
    ] = None,
    hardware: HardwareOption = None,
    mfu: MfuOption = None,
    usd_per_hour: UsdOption = None,
    max_flops: MaxFlopsOption = None,
    max_hours: MaxHoursOption = None,
    max_usd: MaxUsdOption = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Count FLOPs, steps and audio exactly, as results will say.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show every run of STUDY, what runs share and what they cost, before anything is spent."""
    from scaling.ledger.ledger import Ledger
    from sweeps.costs.cost_estimate import Limits, estimate_cost
    from sweeps.costs.exact_costs import exact_costs
    from sweeps.costs.tariff import tariff_of
    from sweeps.plan.prepare import prepare
    from sweeps.plan_report import plan_document, plan_text

    folder = ledger or out
    root = Ledger(folder) if folder is not None else None
    prepared = prepare(study, set_ or [], root)
    costs = estimate_cost(prepared, root, tariff_of(hardware, mfu, usd_per_hour), workers)
    Limits(flops=max_flops, device_hours=max_hours, usd=max_usd).refuse(costs)
    show = plan_document if as_json else plan_text
    emit(show(prepared, costs, exact_costs(prepared) if exact else None))


@app.command()
def run(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the study's results.")],
    ledger: LedgerOption = None,
    workers: WorkersOption = None,
    on: OnOption = Launcher.LOCAL,
    nodes: Annotated[
        int | None, typer.Option("--nodes", min=1, metavar="N", help="Machines for each worker, on Slurm.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Leave the workers to Slurm and return at once.")] = False,
    set_: SetOption = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Take results from a made-up law; needs no torch.")
    ] = False,
    retry_diverged: Annotated[
        bool, typer.Option("--retry-diverged", help="Train diverged stages again: worthwhile only with other software.")
    ] = False,
    worker: Annotated[
        str | None,
        typer.Option("--worker", metavar="COMMAND", help="Command of another trainer; see docs/external-trainer.md."),
    ] = None,
    hardware: HardwareOption = None,
    mfu: MfuOption = None,
    usd_per_hour: UsdOption = None,
    max_flops: MaxFlopsOption = None,
    max_hours: MaxHoursOption = None,
    max_usd: MaxUsdOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the missing runs of STUDY into DIR. The same command resumes; a larger study reuses existing results."""
    from scaling.ledger.ledger import Ledger
    from sweeps.costs.cost_estimate import Limits, estimate_cost
    from sweeps.costs.tariff import tariff_of
    from sweeps.launchers.options import nodes_override
    from sweeps.plan.plan_warnings import plan_warnings
    from sweeps.plan.prepare import prepare
    from sweeps.plan_report import cost_line, reuse_line
    from sweeps.run.outcome import outcome_document, outcome_text
    from sweeps.run.run import train
    from sweeps.run.simulate import simulate_runs, simulated_ledger

    root = simulated_ledger(ledger or out) if simulate else Ledger(ledger or out)
    prepared = prepare(study, [*(set_ or []), *nodes_override(on, nodes)], root)
    costs = estimate_cost(prepared, root, tariff_of(hardware, mfu, usd_per_hour), workers)
    Limits(flops=max_flops, device_hours=max_hours, usd=max_usd).refuse(costs)
    for note in (*prepared.study.speech.notes(), *plan_warnings(prepared.study, prepared.below_onset)):
        log(f"note: {note}")
    log(reuse_line(prepared))
    log(cost_line(costs))
    outcome = (
        simulate_runs(prepared, out, root)
        if simulate
        else train(prepared, out, root, workers, on, detach=detach, retry_diverged=retry_diverged, worker=worker)
    )
    emit(outcome_document(outcome, out) if as_json else outcome_text(outcome, out))
    sys.exit(outcome.exit_code)


@app.command()
def tune(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the runs of the search.")],
    budgets: Annotated[
        str | None, typer.Option(metavar="A,B", help="FLOPs of the runs; default: the smallest of STUDY, and 4 x that.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Write STUDY with the tuned settings to FILE.")
    ] = None,
    keep_batch: Annotated[
        bool, typer.Option("--keep-batch", help="Search the rates only: fewer settings, all with the batch of STUDY.")
    ] = False,
    ledger: LedgerOption = None,
    workers: WorkersOption = None,
    on: OnOption = Launcher.LOCAL,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search peak rates and batch of every strategy of STUDY with the same grid and FLOPs; choose by dev CER."""
    from scaling.ledger.ledger import Ledger
    from sweeps.run.run import train
    from sweeps.study.study import load_study
    from sweeps.tuning import text
    from sweeps.tuning.grid import RATES, Hyperparameter
    from sweeps.tuning.tune import TuningResult, tune, tuning_budgets

    if write is not None:
        text.refuse_missing_folder(write)
    loaded, root = load_study(study, set_ or []), Ledger(ledger or out)
    result = tune(
        loaded,
        tuning_budgets(loaded, budgets),
        root,
        lambda prepared: train(prepared, out, root, workers, on),
        RATES if keep_batch else tuple(Hyperparameter),
    )
    if not isinstance(result, TuningResult):
        log("tuning is not finished; the same command goes on from here")
        sys.exit(result.exit_code or 1)
    document = text.tuning_document(result)
    text.write_document(document, out / "tuning.json")
    if write is not None:
        text.write_tuned_study(result, write)
    emit(document if as_json else text.tuning_text(result))


@app.command()
def track(
    folder: FolderArgument,
    to: Annotated[
        str, typer.Option("--to", help="wandb, offline unless WANDB_MODE says otherwise, or tensorboard.")
    ] = ("wandb"),
    as_json: JsonOption = False,
) -> None:
    """Write all runs of DIR to Weights & Biases or to TensorBoard."""
    from sweeps.run.tracking import write_runs

    count = write_runs(folder, to)
    emit({"runs": count, "folder": str(folder / to)} if as_json else f"{count} runs: {folder / to}")


@app.command()
def status(
    folder: FolderArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until no work is left.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what is done, running, waiting, blocked and failed in DIR."""
    from scaling.ledger.plan_file import read_plan_file
    from sweeps.progress.status import survey_study
    from sweeps.progress.status_text import status_text, study_status
    from sweeps.progress.status_text import watch as watch_study

    if watch:
        watch_study(folder, as_json=as_json)
        return
    plan_file = read_plan_file(folder)
    status = study_status(plan_file, survey_study(plan_file))
    emit(status.as_document() if as_json else status_text(status))


@app.command(name="gc")
def collect_garbage(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study, or the root of a ledger.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be freed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete checkpoints that no run needs any more, and files of interrupted attempts; results stay."""
    from scaling.ledger.ledger import Ledger
    from scaling.ledger.plan_file import read_plan_file
    from sweeps.progress.retention import collect_garbage

    ledger = read_plan_file(folder).ledger if (folder / "plan.json").exists() else Ledger(folder)
    freed = collect_garbage(ledger, dry_run=dry_run, patient=True)
    emit(freed.as_document(dry_run=dry_run) if as_json else freed.text(dry_run=dry_run))


@app.command()
def flops(
    encoder: Annotated[str, typer.Option(help="A shipped row, a hub name, a Hugging Face directory or a config.json.")],
    llm: Annotated[str, typer.Option(help="As --encoder.")],
    strategy: Annotated[str, typer.Option(help="A preset strategy.")] = "efin",
    audio_seconds: Annotated[float, typer.Option(help="Length of each utterance.")] = 5.0,
    text_tokens: Annotated[int, typer.Option(help="Target tokens of each utterance, the end token among them.")] = 20,
    prompt_tokens: Annotated[int, typer.Option(help="LLM positions beside speech and text.")] = 0,
    decoder_prompt_tokens: Annotated[int, typer.Option(help="ASR decoder positions beside start token and text.")] = 0,
    batch: Annotated[int, typer.Option(help="Utterances in one step.")] = 1,
    beams: Annotated[int, typer.Option(help="Beams when decoding.")] = 1,
    stack: Annotated[int | None, typer.Option(help="Encoder frames in a speech token; default: 12.5 tokens/s.")] = None,
    projector_hidden: Annotated[
        int | None, typer.Option(help="Width inside the projector; default: the LLM's.")
    ] = None,
    lora_rank: Annotated[int | None, typer.Option(help="Rank of the LLM's adapters; default: 8.")] = None,
    lora_targets: Annotated[str | None, typer.Option(help="Adapted layers, by comma; default: all linear.")] = None,
    budget: Annotated[float | None, typer.Option(help="FLOPs to divide over the stages.")] = None,
    hardware: Annotated[str | None, typer.Option(help="h100-sxm, h200, a100-80g, rtx4090 or cpu.")] = None,
    mfu: Annotated[float | None, typer.Option(help="Share of the device's peak that training reaches.")] = None,
    usd_per_hour: Annotated[float | None, typer.Option(help="Price of a device-hour.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what one training step costs, by stage and part, without weights or data."""
    from sweeps.costs.step_price import PricedStep, price_step, step_price_text
    from sweeps.costs.tariff import purchase_of

    step = PricedStep(
        encoder=encoder,
        llm=llm,
        strategy=strategy,
        audio_seconds=audio_seconds,
        text_tokens=text_tokens,
        prompt_tokens=prompt_tokens,
        decoder_prompt_tokens=decoder_prompt_tokens,
        batch=batch,
        beams=beams,
        stack=stack,
        hidden=projector_hidden,
        lora_rank=lora_rank,
        lora_targets=None if lora_targets is None else lora_targets.split(","),
    )
    document = price_step(step, budget_flops=budget, purchase=purchase_of(hardware, mfu, usd_per_hour))
    emit(document if as_json else step_price_text(document))


@app.command()
def transcribe(
    folder: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The folder of a study, or of an export.")],
    audio: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="Audio files, folders of them, manifests.")],
    key: KeyOption = None,
    strategy: StrategyOption = None,
    mix_channels: Annotated[
        bool, typer.Option("--mix-channels", help="Hear the mean of all channels where none is named.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Transcribe AUDIO with the best run of RUN_DIR; where manifests hold text, also show the error rates."""
    from sweeps.finished.transcribe_export import transcribe, transcripts_document, transcripts_text

    transcripts = transcribe(folder, audio, key, strategy, mix_channels=mix_channels)
    emit(transcripts_document(transcripts) if as_json else transcripts_text(transcripts))


@app.command()
def export(
    folder: FolderArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    key: KeyOption = None,
    strategy: StrategyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the best run of DIR to OUT: Hugging Face folders with merged adapters, projector and model card."""
    from sweeps.finished.transcribe_export import export

    run = export(folder, out, key, strategy)
    document = {"folder": str(out), "run": run.row.key, "strategy": run.row.strategy, "cer": run.row.cer}
    emit(document if as_json else f"run {run.row.key} ({run.row.strategy}): {out}")


@app.command()
def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Folders with a table of runs, or tables.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the one table, DIR/runs.jsonl.")],
    differ: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column that tells parts apart which differ on purpose."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make one table of several, of a study that was trained in parts; runs that do not belong together are refused."""
    from scaling.ledger.records import RUNS_FILE
    from sweeps.finished.merge_tables import merge_tables

    rows = merge_tables(parts, out, differ or ())
    table = out / RUNS_FILE
    emit({"table": str(table), "runs": len(rows)} if as_json else f"{len(rows)} runs of {len(parts)} parts: {table}")


@app.command()
def doctor(
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder whose disk is checked.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Check torch, accelerator, espeak, W&B, Slurm and disk, and measure the speed of this machine for `plan`."""
    from sweeps.doctor import diagnose, diagnosis_document, diagnosis_text

    diagnosis = diagnose(folder)
    emit(diagnosis_document(diagnosis) if as_json else diagnosis_text(diagnosis))
    sys.exit(diagnosis.any_broken)
