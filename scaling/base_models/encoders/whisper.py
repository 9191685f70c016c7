"""Whisper: log-mel frames, two convolutions, a transformer encoder, and a decoder that writes text by attention."""

from dataclasses import dataclass
from typing import ClassVar

from scaling.arrays import IntArray
from scaling.base_models.config_file import ConfigFile, published
from scaling.base_models.encoders import text_decoder
from scaling.base_models.encoders.log_mel import HOP_LENGTH, LogMelFrames, hop_length
from scaling.base_models.encoders.objective import Encoder
from scaling.base_models.encoders.text_decoder import TextDecoder
from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work, attention, feed_forward
from scaling.spec import SAMPLE_RATE, LoraSpec, Part

SETTINGS = {
    "mel_bins": ("num_mel_bins", None),
    "width": ("d_model", None),
    "layers": ("encoder_layers", None),
    "heads": ("encoder_attention_heads", None),
    "ffn": ("encoder_ffn_dim", None),
    "decoder_layers": ("decoder_layers", None),
    "decoder_heads": ("decoder_attention_heads", None),
    "decoder_ffn": ("decoder_ffn_dim", None),
    "vocabulary": ("vocab_size", None),
    "max_positions": ("max_source_positions", None),
    "max_decoder_positions": ("max_target_positions", None),
}
"""Settings of a config.json, none of which may be left out."""

asr_codec = text_decoder.text_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperEncoderDims(LogMelFrames, Encoder):
    """The encoder of a Whisper-type model. Widths in features, `hop_length` in samples."""

    linears: ClassVar[tuple[str, ...]] = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")

    mel_bins: int
    hop_length: int
    max_positions: int

    @property
    def encoder_params(self) -> int:
        """Parameters of the encoder, with its frozen sinusoidal positions."""
        convolutions = 3 * self.mel_bins * self.width + 3 * self.width**2 + 2 * self.width
        norm = text_decoder.norm_params(self.width)
        feed_forward = text_decoder.feed_forward_params(self.width, self.ffn)
        layer = text_decoder.attention_params(self.width) + feed_forward + 2 * norm
        return convolutions + self.max_positions * self.width + self.layers * layer + norm

    @property
    def max_frames(self) -> float:
        """The largest number of encoder positions."""
        return self.max_positions

    @property
    def frames_per_second(self) -> float:
        """Encoder positions per second of audio."""
        return SAMPLE_RATE / self.hop_length / 2

    def encoder_work(self, samples: IntArray) -> dict[Work, IntArray]:
        """Units of work for utterances of so many samples; the second convolution halves the frames, rounding up."""
        mel_frames = self.input_frames(samples)
        frames = (mel_frames + 1) // 2
        return {Work.MEL_FRAMES: mel_frames, Work.ENCODER_FRAMES: frames, Work.ENCODER_PAIRS: frames**2}

    def encode(self, tape: Tape, lora: LoraSpec) -> Flow:
        """Record the encoder: from mel frames to `width` features in each frame."""
        weights = Weights(Part.ENCODER, Part.ENCODER_LORA, lora)
        mel = tape.linear(weights, "conv1", Flow(Work.MEL_FRAMES, 3 * self.mel_bins, False), self.width)
        frames = tape.linear(weights, "conv2", Flow(Work.ENCODER_FRAMES, 3 * self.width, mel.needs_grad), self.width)

        def layer(x: Flow) -> Flow:
            x = x.plus(attention(tape, weights, x, x, Work.ENCODER_PAIRS, self.width, self.width, "out_proj"))
            return x.plus(feed_forward(tape, weights, x, self.ffn))

        return tape.layers(self.layers, frames, layer)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperDims(WhisperEncoderDims):
    """A Whisper-type encoder-decoder."""

    decoder_layers: int
    decoder_heads: int
    decoder_ffn: int
    vocabulary: int
    max_decoder_positions: int

    @property
    def objective(self) -> TextDecoder:
        """The decoder."""
        return TextDecoder(
            self.width, self.decoder_layers, self.decoder_ffn, self.vocabulary, self.max_decoder_positions
        )


def read_dims(config: ConfigFile) -> WhisperDims:
    """Dimensions from the config.json of a Whisper-type model, and from its feature extractor's file beside it."""
    return WhisperDims(**config.origin, **config.sizes(SETTINGS), hop_length=hop_length(config.path.parent))


def _row(
    name: str,
    width: int,
    layers: int,
    *,
    vocabulary: int = 51_865,
    mel_bins: int = 80,
    decoder_layers: int | None = None,
) -> WhisperDims:
    """A published model: all have heads of 64 features, feed-forwards of 4 widths, 1500 and 448 positions."""
    return WhisperDims(
        **published(f"openai/{name}"),
        mel_bins=mel_bins,
        hop_length=HOP_LENGTH,
        width=width,
        layers=layers,
        heads=width // 64,
        ffn=4 * width,
        decoder_layers=layers if decoder_layers is None else decoder_layers,
        decoder_heads=width // 64,
        decoder_ffn=4 * width,
        vocabulary=vocabulary,
        max_positions=1500,
        max_decoder_positions=448,
    )


ROWS = (
    *(
        _row(f"whisper-{name}{english}", width, layers, vocabulary=51_864 if english else 51_865)
        for name, width, layers in (("tiny", 384, 4), ("base", 512, 6), ("small", 768, 12), ("medium", 1024, 24))
        for english in ("", ".en")
    ),
    _row("whisper-large-v2", 1280, 32),
    _row("whisper-large-v3", 1280, 32, vocabulary=51_866, mel_bins=128),
    _row("whisper-large-v3-turbo", 1280, 32, vocabulary=51_866, mel_bins=128, decoder_layers=4),
)
