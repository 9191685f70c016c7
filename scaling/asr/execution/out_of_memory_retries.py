"""What follows after memory ran out: the node is tried again with twice as many micro-batches a step, and has failed
where a micro-batch is one utterance already.
"""

from itertools import takewhile

from scaling.arrays import IntArray
from scaling.ledger.ledger import Attempt, Ledger
from scaling.ledger.plan_file import PlanFile
from scaling.spec import StageNode
from scaling.speech.batches import BatchStream, Position


def micro_batches_of(plan: PlanFile, ledger: Ledger, key: str) -> int:
    """Micro-batches a step: the number that the study sets, doubled each time that memory ran out at this node."""
    return plan.gradient_accumulation << ledger.memory_failures(key)


def record_out_of_memory(
    attempt: Attempt, node: StageNode, samples: IntArray, micro_batches: int, cause: str, session: str
) -> None:
    """Record that memory ran out, and whether smaller micro-batches, of `samples` of training audio, may be tried."""
    smaller = micro_batches < _largest_batch(node, samples)
    how = f"each batch in {micro_batches} micro-batches" if smaller else "even one utterance at a time"
    attempt.fail("memory" if smaller else "error", f"out of memory, {how}: {cause}", session=session)


def _largest_batch(node: StageNode, samples: IntArray) -> int:
    """Utterances in the largest batch of the first epoch: the largest number of micro-batches that there can be."""
    stream = BatchStream(samples, node.seed, node.stage.optimization.batch_audio_seconds)
    epoch = takewhile(lambda step: step[1].pool <= stream.pools_per_epoch, stream.batches(Position(0, 0)))
    return max(len(indices) for indices, _ in epoch)
