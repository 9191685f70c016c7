"""One node of the plan, from its files to its result: load, train, and evaluate the test sets where a run ends here."""

import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
import transformers

from scaling.asr.checkpoint import Checkpoint, Progress, load, save, save_periodic
from scaling.asr.evaluation.decode import max_tokens_per_second
from scaling.asr.evaluation.evaluate import Evaluation, evaluate
from scaling.asr.evaluation.evaluation_in_training import UTTERANCES, DevEvaluations
from scaling.asr.evaluation.hearing import HearingTest
from scaling.asr.execution.device_memory import out_of_memory_named, refuse_too_large
from scaling.asr.inputs.dataset import SpeechDataset
from scaling.asr.model.recognizer import Recognizer
from scaling.asr.part_weights import Weights, load_part, weights_carried_on
from scaling.asr.resources import WorkerResources, describe_node
from scaling.asr.train import Hooks, train
from scaling.cost.memory import state_memory
from scaling.cost.step_costs import encoder_is_frozen
from scaling.errors import InputError
from scaling.ledger.checkpoints import checkpoint_of, checkpoints_in, newest_complete
from scaling.ledger.hearing import Hearing
from scaling.ledger.ledger import Attempt, Ledger
from scaling.ledger.records import Event, NodeResult, Scores, Spent
from scaling.spec import Objective, StageNode
from scaling.system.atomic_files import write_text_atomically


def run_node(
    node: StageNode,
    attempt: Attempt,
    resources: WorkerResources,
    checkpoint_seconds: float,
    should_stop: Callable[[], bool],
    micro_batches: int = 1,
) -> NodeResult:
    """Train `node` in `attempt` and return its result, ready to commit.

    Training continues the newest checkpoint of any attempt at this node, else it begins at the node's start or its
    parent's end; a node that is trained to its end is only evaluated. Each rank splits its share of a batch into
    `micro_batches`, where memory is scarce. Every rank calls this; the first rank alone writes.

    Raises Interrupted where `should_stop()` turns true, and OutOfMemory where memory runs out.
    """
    with out_of_memory_named(f"training {describe_node(node)}"):
        return _run(node, attempt, resources, checkpoint_seconds, should_stop, micro_batches)


def _run(
    node: StageNode,
    attempt: Attempt,
    resources: WorkerResources,
    checkpoint_seconds: float,
    should_stop: Callable[[], bool],
    micro_batches: int,
) -> NodeResult:
    ledger, ranks = attempt.ledger, resources.ranks
    beginning, earlier = _beginning(node, resources, ledger)
    newest = ranks.broadcast(newest_complete(ledger, checkpoints_in(ledger.attempts(node.key))))
    resumed = None if newest is None else load(ledger.root, newest)
    start = resumed or beginning
    before = replace(beginning.progress)  # training changes the progress that it begins with
    model = _load_model(node, resources, earlier, start.weights)
    inputs = resources.model_inputs(node, model, node.data.train)
    tokens_per_second = max_tokens_per_second(inputs.dataset.lengths, node.stage.objective)
    evaluate_set = partial(
        evaluate,
        objective=node.stage.objective,
        scoring=node.data.scoring,
        tokens_per_second=tokens_per_second,
        micro_batches=micro_batches,
        ranks=ranks,
        should_stop=should_stop,
        on_progress=ranks.on_first(partial(_log_evaluating, attempt)),
    )
    dev_inputs = resources.model_inputs(node, model, node.data.dev)
    evaluate_dev = partial(evaluate_set, dev_inputs, name="dev")
    hears = node.stage.objective is Objective.LLM
    hearing_test = HearingTest.of(dev_inputs, resources.model_shape(node), micro_batches, ranks) if hears else None
    log = ranks.on_first(attempt.log)
    dev_evaluations = DevEvaluations(
        partial(evaluate_dev, limit=UTTERANCES), hearing_test, log, start.progress.seconds, ranks
    )
    begun = Event(
        event="start",
        stage=node.stage.name,
        flops=start.progress.flops,
        resumed=bool(resumed),
        hearing=_last(start.progress.hearing),
    )
    log(begun)
    hooks = Hooks(
        on_progress=ranks.on_first(partial(_log_progress, attempt)),
        on_checkpoint=partial(save_periodic, attempt.folder, ranks=ranks),
        before_step=dev_evaluations,
        should_stop=should_stop,
        checkpoint_seconds=checkpoint_seconds,
    )
    end = train(node, inputs, resources.model_shape(node), start, hooks, micro_batches, ranks)
    optimizer = end.optimizer if node.cooldown_from_flops is None else None
    carried_on = weights_carried_on(earlier, node.stage.parts) if ranks.first else {}
    final = Checkpoint(carried_on | end.weights, optimizer, end.progress)
    save(attempt.folder / "final", final, ranks)
    execution = {
        "processes": ranks.size,
        "gradient_checkpointing": model.gradient_checkpointing,
        "compile": model.compiled,
    }
    result = _result(node, final.progress, before, inputs.dataset, attempt, dev_evaluations.seconds, execution)
    if not node.final:
        return result
    began = time.perf_counter()
    tests = {
        name: evaluate_set(resources.model_inputs(node, model, digest), name=name) for name, digest in node.data.test
    }
    dev = evaluate_dev()
    ranks.on_first(_write_utterances)(attempt, tests.values())
    hearing = None if hearing_test is None else hearing_test.measure(final.progress.flops)
    if hearing is not None:
        log(Event(event="hearing", flops=hearing.flops, hearing=hearing))
    return result.model_copy(
        update={
            "hearing": hearing,
            "max_tokens_per_second": tokens_per_second,
            "evaluation_seconds": time.perf_counter() - began,
            "dev": Scores(**dev.summary()),
            "test": {name: Scores(**test.summary()) for name, test in tests.items()},
        }
    )


def _load_model(node: StageNode, resources: WorkerResources, earlier: Weights, start: Weights) -> Recognizer:
    """The model that training begins with: `earlier` weights of other stages, and the `start` of this one."""
    sharers = resources.ranks.size if resources.ranks.shard else 1
    least_memory = state_memory(resources.model_shape(node), node.stage, node.precision, sharers=sharers)
    refuse_too_large(f"training {describe_node(node)}", least_memory.total, resources.device)
    model = resources.recognizer(node, earlier, for_training=True)
    for part in node.stage.parts:
        load_part(model, part, start)
    return model


def _log_progress(attempt: Attempt, progress: Progress, loss: float, factor: float) -> None:
    counts = progress.counts
    counts["loss"] = loss
    attempt.log(Event(event="progress", **counts, rate_factor=factor, hearing=_last(progress.hearing)))


def _last(looks: Sequence[Hearing]) -> Hearing | None:
    return looks[-1] if looks else None


def _log_evaluating(attempt: Attempt, name: str, done: int, of: int) -> None:
    attempt.log(Event(event="evaluating", set=name, done=done, of=of))


def _beginning(node: StageNode, resources: WorkerResources, ledger: Ledger) -> tuple[Checkpoint, Weights]:
    """The state that the node begins with, and the weights that earlier stages trained."""
    earlier: Weights = {}
    progress = Progress.beginning(len(resources.dataset(node, node.data.train)))
    if node.parent is not None:
        parent = _final_checkpoint(ledger, node.parent)
        earlier = parent.weights
        progress = parent.progress.next_stage(encoder_frozen=encoder_is_frozen(node.stage.parts))
    if node.start is not None:
        return _final_checkpoint(ledger, node.start), earlier
    return Checkpoint({}, None, progress), earlier


def _final_checkpoint(ledger: Ledger, key: str) -> Checkpoint:
    place = checkpoint_of(ledger, key)
    if place is None:
        raise InputError(f"{ledger.folder(key)}: the node has no checkpoint to start from")
    return load(ledger.root, place)


def _result(
    node: StageNode,
    progress: Progress,
    before: Progress,
    dataset: SpeechDataset,
    attempt: Attempt,
    look_seconds: float,
    execution: Mapping[str, object],
) -> NodeResult:
    """The result of a trained node, without scores. `before` is the progress at the node's beginning."""
    return NodeResult(
        status="ok",
        **progress.counts,
        unique_audio_seconds=dataset.recorded_seconds(progress.seen),
        spent=Spent(
            flops=progress.flops - before.flops,
            executed_flops=progress.executed_flops - before.executed_flops,
            seconds=progress.seconds - before.seconds,
        ),
        checkpoint=f"attempts/{attempt.folder.name}/final",
        utterances=f"attempts/{attempt.folder.name}/utterances.jsonl" if node.final else None,
        look_seconds=look_seconds,
        dev=None,
        test=None,
        hearing_looks=list(progress.hearing) if node.stage.objective is Objective.LLM else None,
        provenance={
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            **execution,
        },
    )


def _write_utterances(attempt: Attempt, tests: Iterable[Evaluation]) -> None:
    """Write the hypothesis and the errors of each test utterance, a line each."""
    lines = [json.dumps(row, ensure_ascii=False) for test in tests for row in test.rows]
    write_text_atomically(attempt.folder / "utterances.jsonl", "\n".join(lines) + "\n")
