"""The learning rate over a stage: warm-up, a constant rate, and cooldown."""

import math

from scaling.spec import StageNode


def rate_factor(node: StageNode, flops: int, steps: int) -> float:
    """The learning rate of the next step, after so many FLOPs and steps of the stage, as a fraction of the peak.

    It rises over the steps of the warm-up, stays at 1, and falls as 1 - sqrt(share of the cooldown that is done).
    """
    warmup = min(1.0, (steps + 1) / max(1, node.stage.optimization.warmup_steps))
    if node.cooldown_from_flops is None or flops <= node.cooldown_from_flops:
        return warmup
    done = (flops - node.cooldown_from_flops) / (node.until_flops - node.cooldown_from_flops)
    return warmup * (1.0 - math.sqrt(min(1.0, done)))
