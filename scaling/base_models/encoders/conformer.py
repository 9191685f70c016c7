"""A layer of a Conformer (Gulati et al. 2020): half a feed-forward, attention, a convolution, half a feed-forward.

The depthwise convolution has as many groups as features: each output is a product with `kernel` inputs of one feature.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from scaling.base_models.matmul_tape import Flow, Tape, Weights, feed_forward


class ConformerSizes(Protocol):
    """How many layers, the features inside of their feed-forwards, and the positions that a convolution reads."""

    @property
    def layers(self) -> int: ...
    @property
    def ffn(self) -> int: ...
    @property
    def kernel(self) -> int: ...


def conformer_layers(
    tape: Tape,
    weights: Weights,
    frames: Flow,
    attend: Callable[[Flow], Flow],
    sizes: ConformerSizes,
    names: tuple[str, str],
) -> Flow:
    """Record layers that end in a norm, as published ones do; `names` are those of the feed-forward's linear layers."""

    def layer(x: Flow) -> Flow:
        x = x.plus(feed_forward(tape, weights, x, sizes.ffn, names))
        x = x.plus(attend(x))
        x = x.plus(_convolution(tape, weights, x, sizes.kernel))
        return x.plus(feed_forward(tape, weights, x, sizes.ffn, names))

    return tape.layers(sizes.layers, frames, layer, ends_in_norm=True)


def _convolution(tape: Tape, weights: Weights, x: Flow, kernel: int) -> Flow:
    """Two features for each, of which one gates the other; the depthwise convolution; and a mixture of features."""
    gated = replace(tape.linear(weights, "pointwise_conv1", x, 2 * x.width), width=kernel * x.width)
    mixed = tape.linear(weights, "depthwise_conv", gated, x.width, groups=x.width)
    return tape.linear(weights, "pointwise_conv2", mixed, x.width)
