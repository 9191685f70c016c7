"""Results of nodes for tests: what any trainer might commit."""

from typing import Any

from scaling.ledger.records import NodeResult


def node_result(**fields: Any) -> NodeResult:
    """A result with these fields, and the least in the others."""
    counts = {"flops": 1, "executed_flops": 1, "seconds": 0.0}
    least = {**counts, "status": "ok", "steps": 0, "audio_seconds": 0.0, "unique_audio_seconds": 0.0, "spent": counts}
    unknown = dict.fromkeys(("loss", "checkpoint", "utterances", "dev", "test", "provenance"))
    return NodeResult.model_validate({**least, **unknown, **fields})
