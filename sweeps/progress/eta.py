"""The time that a study still needs: for training, and for decoding dev and test sets where runs end."""

from collections.abc import Sequence
from typing import NamedTuple

from scaling.ledger.plan_file import PlanFile
from sweeps.plan.plan import remaining_costs
from sweeps.progress.measured import measured
from sweeps.progress.status import NodeStatus, State, Survey

SAMPLED_NODES = 50
"""The speed is the mean of so many finished nodes, evenly over the working order: quick in a study of any size."""


class Pace(NamedTuple):
    """FLOPs a second of a worker in training, including looks at dev, and in decoding; None where not known.

    Until a finished run says how long its decoding took, FLOPs of decoding are taken to last as long as those of
    training (assumption).
    """

    training: float | None
    decoding: float | None


def pace_of(plan_file: PlanFile, survey: Survey) -> Pace:
    """The pace of this study's finished nodes and of those at work."""
    running = [survey.nodes[key].progress for key in survey.in_state(State.RUNNING)]
    done = survey.in_state(State.DONE)
    ends = [key for key in done if key in plan_file.evaluation_flops]
    nodes = measured(plan_file.ledger, _sample(done), {})
    runs = measured(plan_file.ledger, _sample(ends), plan_file.evaluation_flops)
    flops = nodes.trained_flops + sum(progress.trained_flops for progress in running)
    seconds = nodes.trained_seconds + nodes.look_seconds + sum(progress.seconds for progress in running)
    training = flops / seconds if flops > 0 and seconds > 0 else None
    return Pace(training, runs.decoded_flops / runs.decoded_seconds if runs.decoded_seconds else training)


def eta_seconds(plan_file: PlanFile, survey: Survey, pace: Pace, workers: int = 0) -> float | None:
    """Seconds until nothing remains; None where no speed is known or nobody works.

    The work is divided among the workers that hold nodes, or among `workers` where more are alive. The time is at least
    that of the longest chain of nodes that wait for one another.
    """
    busy = max(len(survey.in_state(State.RUNNING)), workers)
    remaining: dict[str, float] = {}
    for key, node in survey.nodes.items():
        if node.state in (State.RUNNING, State.WAITING):
            seconds = node_eta_seconds(plan_file, key, node, pace)
            if seconds is None or not busy:
                return None
            remaining[key] = seconds
    if not remaining:
        return None
    chains = remaining_costs({key: plan_file.work[key].needs for key in plan_file.nodes}, remaining)
    return max(sum(remaining.values()) / busy, *chains.values())


def node_eta_seconds(plan_file: PlanFile, key: str, node: NodeStatus, pace: Pace) -> float | None:
    """Seconds of work left in a node, at its own speed where it has one; None where no speed is known."""
    own, decoding = node.progress, node.progress.decoding
    training = own.trained_flops / own.seconds if own.trained_flops > 0 and own.seconds > 0 else pace.training
    if training is None:
        return None
    evaluation = plan_file.evaluation_flops.get(key, 0) / (pace.decoding or training)
    if decoding is not None and decoding.final:
        evaluation = max(evaluation - decoding.seconds, decoding.remaining_seconds or 0.0)
    return (node.total_flops - node.flops) / training + evaluation


def _sample(keys: Sequence[str]) -> Sequence[str]:
    """At most about `SAMPLED_NODES` of `keys`, evenly spread."""
    return keys[:: -(-len(keys) // SAMPLED_NODES) or 1]
