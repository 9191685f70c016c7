"""What finished nodes took: FLOPs and seconds of their training and of their decoding."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.records import NodeResult


class Measured(NamedTuple):
    """Sums over finished nodes. Decoding counts only where a result says `evaluation_seconds`."""

    nodes: int = 0
    trained_flops: float = 0
    trained_seconds: float = 0.0
    look_seconds: float = 0.0
    decoded_flops: int = 0
    decoded_seconds: float = 0.0


def measured(ledger: Ledger, keys: Iterable[str], evaluation_flops: Mapping[str, int]) -> Measured:
    """What the nodes `keys` took. Those in `evaluation_flops` end a run. Results that cannot be read are left out."""
    nodes = [_node(result, evaluation_flops.get(key, 0)) for key in keys if (result := _result(ledger, key))]
    return Measured(*map(sum, zip(*nodes, strict=True))) if nodes else Measured()


def _node(result: NodeResult, decoded_flops: int) -> Measured:
    decoded_seconds = result.evaluation_seconds or 0.0
    return Measured(
        nodes=1,
        trained_flops=result.spent.flops,
        trained_seconds=result.spent.seconds,
        look_seconds=result.look_seconds or 0.0,
        decoded_flops=decoded_flops if decoded_seconds else 0,
        decoded_seconds=decoded_seconds if decoded_flops else 0.0,
    )


def _result(ledger: Ledger, key: str) -> NodeResult | None:
    with suppress(InputError):
        return ledger.result(key)
    return None
