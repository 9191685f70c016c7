"""One node of the plan, from its files to its result: load, train, look at dev, test where a run ends here."""

import json
import platform
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
import transformers

from scaling.asr.checkpoint import Checkpoint, Progress, Weights, latest, load, save, save_periodic
from scaling.asr.evaluate import Looks, Scored, evaluate
from scaling.asr.execution.device_memory import out_of_memory_named, refuse_too_large
from scaling.asr.execution.ranks import Ranks
from scaling.asr.inputs.dataset import SpeechDataset
from scaling.asr.resources import WorkerResources, describe_node, load_part, weights_carried_on
from scaling.asr.train import Hooks, Interrupted, train
from scaling.cost.memory import state_memory
from scaling.cost.step_costs import encoder_is_frozen
from scaling.errors import InputError
from scaling.ledger.freed_checkpoints import checkpoint_of
from scaling.ledger.ledger import Attempt, Ledger
from scaling.ledger.records import Event, NodeResult, Scores, Spent
from scaling.spec import SAMPLE_RATE, StageNode
from scaling.system.atomic_files import write_text_atomically

LOOK_UTTERANCES = 100
"""Dev utterances scored for a look during training: enough to see a curve, a third of the usual dev set's cost."""


def run_node(
    node: StageNode,
    attempt: Attempt,
    resources: WorkerResources,
    checkpoint_seconds: float,
    should_stop: Callable[[], bool],
    pieces: int = 1,
) -> NodeResult:
    """Train `node` in `attempt` and return its result, ready to commit.

    Goes on from the newest checkpoint of any attempt at this node, else from its start or its parent: one that was
    trained to its end is only evaluated. `pieces` cuts batches for a machine with little memory, and the resources's
    ranks share them: how a node is executed, never what it is. Every rank calls this; the first alone writes. Raises
    Interrupted where `should_stop()` turns true, OutOfMemory where memory runs out all the same.
    """
    with out_of_memory_named(f"training {describe_node(node)}"):
        return _run(node, attempt, resources, checkpoint_seconds, should_stop, pieces)


def _run(
    node: StageNode,
    attempt: Attempt,
    resources: WorkerResources,
    checkpoint_seconds: float,
    should_stop: Callable[[], bool],
    pieces: int,
) -> NodeResult:
    ledger, ranks = attempt.ledger, resources.ranks
    beginning, carried = _beginning(node, resources, ledger)
    newest = ranks.broadcast(latest([other.folder for other in ledger.attempts(node.key)]))
    resumed = None if newest is None else load(newest)
    start = resumed or beginning
    base = (beginning.progress.flops, beginning.progress.executed_flops, beginning.progress.seconds)
    model_shape = resources.model_shape(node)
    least = state_memory(model_shape, node.stage, node.precision, sharers=ranks.size if ranks.shard else 1)
    refuse_too_large(f"training {describe_node(node)}", least.total, resources.device)
    model = resources.recognizer(node, carried, rounded=True)
    for part in node.stage.parts:
        load_part(model, part, start.weights)
    inputs = resources.model_inputs(node, model, node.data.train)
    scored = partial(
        evaluate,
        objective=node.stage.objective,
        scoring=node.data.scoring,
        pieces=pieces,
        ranks=ranks,
        should_stop=should_stop,
        on_progress=ranks.on_first(partial(_log_evaluating, attempt)),
    )
    dev = partial(scored, resources.model_inputs(node, model, node.data.dev), name="dev")
    looking = _Looking(partial(dev, limit=LOOK_UTTERANCES), attempt, start.progress.seconds, ranks)
    ranks.on_first(attempt.log)(
        Event(event="start", stage=node.stage.name, flops=start.progress.flops, resumed=bool(resumed))
    )
    hooks = Hooks(
        on_progress=ranks.on_first(partial(_log_progress, attempt)),
        on_checkpoint=partial(save_periodic, attempt.folder, ranks=ranks),
        before_step=looking,
        should_stop=should_stop,
        checkpoint_seconds=checkpoint_seconds,
    )
    end = train(node, inputs, model_shape, start, hooks, pieces, ranks)
    optimizer = end.optimizer if node.cooldown_from_flops is None else None
    earlier = weights_carried_on(carried, node.stage.parts) if ranks.first else {}
    final = Checkpoint(earlier | end.weights, optimizer, end.progress)
    save(attempt.folder / "final", final, ranks)
    execution = {"processes": ranks.size, "gradient_checkpointing": model.recomputes, "compile": model.compiled}
    result = _result(node, final.progress, base, inputs.dataset, attempt, looking.seconds, execution)
    if not node.final:
        return result
    began = time.perf_counter()
    tests = {name: scored(resources.model_inputs(node, model, content), name=name) for name, content in node.data.test}
    chosen_on = dev()
    ranks.on_first(_write_utterances)(attempt, tests.values())
    return result.model_copy(
        update={
            "evaluation_seconds": time.perf_counter() - began,
            "dev": Scores(**chosen_on.summary()),
            "test": {name: Scores(**test.summary()) for name, test in tests.items()},
        }
    )


class _Looking:
    """Looks at the dev set during training when it is time to; True where it did, and left the model in eval mode.

    A look that is asked to stop is none: training, which is asked the same next, saves its state first.
    """

    def __init__(self, dev: Callable[[], Scored], attempt: Attempt, start_seconds: float, ranks: Ranks) -> None:
        self._dev, self._attempt, self._ranks = dev, attempt, ranks
        self._start_seconds = start_seconds
        self._looks = Looks()

    @property
    def seconds(self) -> float:
        """Time spent looking."""
        return self._looks.seconds

    def __call__(self, progress: Progress) -> bool:
        trained_seconds = progress.seconds - self._start_seconds
        if not self._ranks.broadcast(self._looks.due(trained_seconds)):
            return False
        began = time.perf_counter()
        try:
            scored = self._dev()
        except Interrupted:
            return True
        self._looks.took(time.perf_counter() - began, trained_seconds)
        event = Event(event="dev", flops=progress.flops, cer=scored.summary()["cer"])
        self._ranks.on_first(self._attempt.log)(event)
        return True


def _log_progress(attempt: Attempt, progress: Progress, loss: float, factor: float) -> None:
    event = Event(
        event="progress",
        flops=progress.flops,
        executed_flops=progress.executed_flops,
        cache_credited_flops=progress.cache_credited_flops,
        steps=progress.steps,
        seconds=progress.seconds,
        wait_seconds=progress.wait_seconds,
        audio_seconds=progress.audio_samples / SAMPLE_RATE,
        loss=loss,
        rate_factor=factor,
    )
    attempt.log(event)


def _log_evaluating(attempt: Attempt, name: str, done: int, of: int) -> None:
    attempt.log(Event(event="evaluating", set=name, done=done, of=of))


def _beginning(node: StageNode, resources: WorkerResources, ledger: Ledger) -> tuple[Checkpoint, Weights]:
    """Where the node sets out from, and the weights of earlier stages it carries along."""
    carried: Weights = {}
    progress = Progress.beginning(len(resources.dataset(node, node.data.train)))
    if node.parent is not None:
        parent = _final_checkpoint(ledger, node.parent)
        carried = parent.weights
        progress = parent.progress.next_stage(encoder_frozen=encoder_is_frozen(node.stage.parts))
    if node.start is not None:
        return _final_checkpoint(ledger, node.start), carried
    return Checkpoint({}, None, progress), carried


def _final_checkpoint(ledger: Ledger, key: str) -> Checkpoint:
    place = checkpoint_of(ledger, key)
    if place is None:
        raise InputError(f"{ledger.folder(key)}: the node has no checkpoint to start from")
    return load(place)


def _result(
    node: StageNode,
    progress: Progress,
    base: tuple[int, int, float],
    dataset: SpeechDataset,
    attempt: Attempt,
    look_seconds: float,
    execution: dict[str, Any],
) -> NodeResult:
    """The result of a trained node, without scores. `base` is what the stage had taken before the node."""
    return NodeResult(
        status="ok",
        flops=progress.flops,
        executed_flops=progress.executed_flops,
        cache_credited_flops=progress.cache_credited_flops,
        steps=progress.steps,
        audio_seconds=progress.audio_samples / SAMPLE_RATE,
        seconds=progress.seconds,
        wait_seconds=progress.wait_seconds,
        unique_audio_seconds=dataset.recorded_seconds(progress.seen),
        spent=Spent(
            flops=progress.flops - base[0],
            executed_flops=progress.executed_flops - base[1],
            seconds=progress.seconds - base[2],
        ),
        loss=progress.loss,
        checkpoint=f"attempts/{attempt.folder.name}/final",
        utterances=f"attempts/{attempt.folder.name}/utterances.jsonl" if node.final else None,
        look_seconds=look_seconds,
        dev=None,
        test=None,
        provenance={
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            **execution,
        },
    )


def _write_utterances(attempt: Attempt, tests: Iterable[Scored]) -> None:
    """Each test utterance's hypothesis and errors, a line each."""
    lines = [json.dumps(row, ensure_ascii=False) for test in tests for row in test.rows]
    write_text_atomically(attempt.folder / "utterances.jsonl", "\n".join(lines) + "\n")
