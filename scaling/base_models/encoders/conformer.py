"""A layer of a Conformer (Gulati et al. 2020): half a feed-forward, attention, a convolution, half a feed-forward.

Scores of attention have a second product, of queries with what stands for distances. The depthwise convolution has as
many groups as features: each output is a product with `kernel` inputs of one feature.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work, feed_forward
from scaling.spec import Part


@dataclass(frozen=True, slots=True)
class ConformerLayers:
    """`layers` of `width` features that end in a norm, as published ones do.

    `ffn` are the features inside of a feed-forward, `kernel` the positions that a convolution reads. `attention` are
    the names of the linear layers of queries, keys, values and output, `feed_forward` those of its two.
    """

    layers: int
    width: int
    ffn: int
    kernel: int
    attention: tuple[str, ...]
    feed_forward: tuple[str, ...]

    def params(self, *, bias: bool = True, convolution_bias: bool = False) -> int:
        """Parameters of a layer, without its norms and what its attention has for distances."""
        feed_forward = 2 * self.width * self.ffn + bias * (self.ffn + self.width)
        attention = 4 * self.width**2 + bias * 4 * self.width
        convolution = 3 * self.width**2 + (self.kernel + 4 * convolution_bias) * self.width
        return 2 * feed_forward + attention + convolution

    def record(self, tape: Tape, weights: Weights, frames: Flow, pairs: Work, distances: Callable[[], Flow]) -> Flow:
        """Record all layers. In each, queries have products over `pairs` with what `distances()` records."""

        def attend(x: Flow) -> Flow:
            query, key, value = (tape.linear(weights, name, x, self.width) for name in self.attention[:3])
            bias = tape.product(Part.ENCODER, pairs, query, distances())
            mixed = tape.attention(Part.ENCODER, Work.ENCODER_PAIRS, query, key, value, bias=bias)
            return tape.linear(weights, self.attention[3], mixed, self.width)

        def halved(x: Flow) -> Flow:
            first, second = self.feed_forward
            return feed_forward(tape, weights, x, self.ffn, (first, second))

        def layer(x: Flow) -> Flow:
            x = x.plus(halved(x))
            x = x.plus(attend(x))
            x = x.plus(self._convolution(tape, weights, x))
            return x.plus(halved(x))

        return tape.layers(self.layers, frames, layer, ends_in_norm=True)

    def _convolution(self, tape: Tape, weights: Weights, x: Flow) -> Flow:
        """Two features for each, of which one gates the other; the depthwise convolution; a mixture of features."""
        gated = replace(tape.linear(weights, "pointwise_conv1", x, 2 * x.width), width=self.kernel * x.width)
        mixed = tape.linear(weights, "depthwise_conv", gated, x.width, groups=x.width)
        return tape.linear(weights, "pointwise_conv2", mixed, x.width)
