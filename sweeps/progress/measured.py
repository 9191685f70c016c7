"""What finished nodes took: FLOPs, steps and seconds of their training, and seconds of their decoding."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from scaling.cost.hardware import Hardware, hardware_of
from scaling.cost.training_time import Training
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.records import NodeResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The training of each node that took time. Decoding counts only where a result says `evaluation_seconds`."""

    training: tuple[Training, ...]
    look_seconds: float
    decoded_flops: int
    decoded_seconds: float

    @property
    def trained_flops(self) -> float:
        """Charged FLOPs that the nodes trained themselves."""
        return sum(one.flops for one in self.training)

    @property
    def trained_seconds(self) -> float:
        """Seconds of that training."""
        return sum(one.seconds for one in self.training)


def measured(
    ledger: Ledger, keys: Iterable[str], evaluation_flops: Mapping[str, int], device: Hardware | None = None
) -> Measured:
    """What nodes took, on `device` if given. Those in `evaluation_flops` end a run; unreadable ones are left out."""
    results = {key: result for key in keys if (result := _result(ledger, key)) and _is_on(result, device)}
    decoded = {
        key: result.evaluation_seconds
        for key, result in results.items()
        if result.evaluation_seconds and evaluation_flops.get(key)
    }
    return Measured(
        training=tuple(_training(result) for result in results.values() if result.spent.seconds and result.flops),
        look_seconds=sum(result.look_seconds or 0.0 for result in results.values()),
        decoded_flops=sum(evaluation_flops[key] for key in decoded),
        decoded_seconds=sum(decoded.values()),
    )


def _training(result: NodeResult) -> Training:
    """What the node alone did: its steps are those of its stage from the beginning."""
    spent = result.spent
    return Training(flops=spent.flops, steps=result.steps * spent.flops / result.flops, seconds=spent.seconds)


def _is_on(result: NodeResult, device: Hardware | None) -> bool:
    said = result.provenance.get("device") if isinstance(result.provenance, dict) else None
    return device is None or (isinstance(said, str) and hardware_of(said) == device)


def _result(ledger: Ledger, key: str) -> NodeResult | None:
    with suppress(InputError):
        return ledger.result(key)
    return None
