"""What finished nodes took: FLOPs and seconds of their training and of their decoding."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.records import Row, node_result
from scaling.system.json_schema import amount


class Measured(NamedTuple):
    """Sums over finished nodes. What is decoded counts only where a result says `evaluation_seconds`."""

    nodes: int = 0
    trained_flops: int = 0
    trained_seconds: float = 0.0
    look_seconds: float = 0.0
    decoded_flops: int = 0
    decoded_seconds: float = 0.0


def measured(ledger: Ledger, keys: Iterable[str], evaluation_flops: Mapping[str, int]) -> Measured:
    """What the nodes `keys` took, of which those in `evaluation_flops` end a run; unreadable results are left out."""
    nodes = [_node(result, evaluation_flops.get(key, 0)) for key in keys if (result := _result(ledger, key))]
    return Measured(*map(sum, zip(*nodes, strict=True))) if nodes else Measured()


def _node(result: Row, flops: int) -> Measured:
    spent, decoded = result["spent"], _seconds(result, "evaluation_seconds")
    return Measured(
        nodes=1,
        trained_flops=spent["flops"],
        trained_seconds=spent["seconds"],
        look_seconds=_seconds(result, "look_seconds"),
        decoded_flops=flops if decoded else 0,
        decoded_seconds=decoded if flops else 0.0,
    )


def _result(ledger: Ledger, key: str) -> Row | None:
    with suppress(InputError):
        return node_result(ledger, key)
    return None


def _seconds(result: Row, field: str) -> float:
    """A time that a trainer may leave out."""
    seconds = result.get(field)
    return float(seconds) if amount(seconds) and seconds is not None else 0.0
