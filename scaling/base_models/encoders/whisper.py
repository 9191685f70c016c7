"""Whisper: log-mel frames, two convolutions, a transformer encoder, and a decoder that writes text by attention."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from scaling.arrays import IntArray
from scaling.base_models.config_file import ConfigFile
from scaling.base_models.encoders.log_mel import HOP_LENGTH, LogMelFrames, hop_length
from scaling.base_models.encoders.objective import Encoder
from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work, attention, feed_forward
from scaling.base_models.tokenizers import TextCodec, load_tokenizer, model_settings, token_id, tokenizer_file
from scaling.errors import InputError
from scaling.spec import SAMPLE_RATE, LoraSpec, Part

TASK, NO_TIMESTAMPS = "<|transcribe|>", "<|notimestamps|>"

MULTILINGUAL_VOCABULARY = 51_865
"""The smallest vocabulary of a multilingual model. English models have one token less; their vocabulary includes
language tokens that they never learned, and OpenAI's own code distinguishes the models by the size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperEncoderDims(LogMelFrames, Encoder):
    """The encoder of a Whisper-type model. Widths in features, `hop_length` in samples."""

    linears: ClassVar[tuple[str, ...]] = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")

    name: str = field(compare=False)
    source: str = field(compare=False)
    mel_bins: int
    hop_length: int
    width: int
    layers: int
    heads: int
    ffn: int
    max_positions: int

    @property
    def encoder_params(self) -> int:
        """Parameters of the encoder, with its frozen sinusoidal positions."""
        convolutions = 3 * self.mel_bins * self.width + 3 * self.width**2 + 2 * self.width
        layer = _attention_params(self.width) + _ffn_params(self.width, self.ffn) + 2 * _norm_params(self.width)
        return convolutions + self.max_positions * self.width + self.layers * layer + _norm_params(self.width)

    @property
    def max_frames(self) -> float:
        """The largest number of encoder positions."""
        return self.max_positions

    @property
    def max_audio_seconds(self) -> float:
        """The longest audio that the encoder has positions for."""
        return self.max_positions / self.frames_per_second

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
    def objective(self) -> "WhisperDecoder":
        """The decoder."""
        return WhisperDecoder(self)


@dataclass(frozen=True, slots=True)
class WhisperDecoder:
    """A decoder that writes text by attention to the encoder's output."""

    dims: WhisperDims

    @property
    def vocabulary(self) -> int:
        """Tokens that it chooses among."""
        return self.dims.vocabulary

    @property
    def params(self) -> int:
        """Parameters of the decoder; its embeddings are counted once, because the output projection is tied to them."""
        dims, width = self.dims, self.dims.width
        feed_forward = _ffn_params(width, dims.decoder_ffn)
        layer = 2 * _attention_params(width) + feed_forward + 3 * _norm_params(width)
        embeddings = (dims.vocabulary + dims.max_decoder_positions) * width
        return embeddings + dims.decoder_layers * layer + _norm_params(width)

    def max_tokens(self, frames: IntArray) -> IntArray:
        """The most prompt and text tokens, whatever the number of encoder positions."""
        return np.full_like(frames, self.dims.max_decoder_positions)

    def output_positions(self, frames: IntArray, tokens: IntArray) -> IntArray:
        """Positions of the decoder: one for each prompt or text token."""
        return tokens

    def decode(self, tape: Tape, speech: Flow) -> None:
        """Record the decoder: text that attends to the speech, with logits at target positions."""
        weights, dims, width = Weights(Part.ASR_DECODER), self.dims, self.dims.width
        memory = replace(speech, work=Work.CROSS_FRAMES)

        def layer(x: Flow) -> Flow:
            x = x.plus(attention(tape, weights, x, x, Work.DECODER_PAIRS, width, width, "out_proj"))
            x = x.plus(attention(tape, weights, x, memory, Work.CROSS_PAIRS, width, width, "out_proj"))
            return x.plus(feed_forward(tape, weights, x, dims.decoder_ffn))

        # The embeddings train with the decoder: the input of its first layer needs a gradient where the decoder trains.
        first = Flow(Work.DECODER, width, Part.ASR_DECODER in tape.trained)
        text = tape.layers(dims.decoder_layers, first, layer)
        tape.linear(weights, "proj_out", replace(text, work=Work.ASR_TARGETS), dims.vocabulary)


def read_dims(config: ConfigFile) -> WhisperDims:
    """Dimensions from the config.json of a Whisper-type model, and from its feature extractor's file beside it."""
    return WhisperDims(
        name=config.path.parent.name,
        source=str(config.path),
        mel_bins=config.integer("num_mel_bins"),
        hop_length=hop_length(config.path.parent),
        width=config.integer("d_model"),
        layers=config.integer("encoder_layers"),
        heads=config.integer("encoder_attention_heads"),
        ffn=config.integer("encoder_ffn_dim"),
        decoder_layers=config.integer("decoder_layers"),
        decoder_heads=config.integer("decoder_attention_heads"),
        decoder_ffn=config.integer("decoder_ffn_dim"),
        vocabulary=config.integer("vocab_size"),
        max_positions=config.integer("max_source_positions"),
        max_decoder_positions=config.integer("max_target_positions"),
    )


def asr_codec(directory: Path, language: str) -> TextCodec:
    """The codec of the decoder. `language` is a Whisper code (`zh`, `en`), which English models ignore.

    The prefix is the start token, then language and task (multilingual models), then no-timestamps, as far as the
    vocabulary has these tokens. Raises InputError on a language that a multilingual model does not know.
    """
    settings = model_settings(directory)
    tokenizer = load_tokenizer(tokenizer_file(directory), settings.get("vocab_size"))
    start = token_id(settings, directory, "decoder_start_token_id")
    multilingual = settings.get("is_multilingual", settings.get("vocab_size", 0) >= MULTILINGUAL_VOCABULARY)
    names = [f"<|{language}|>", TASK, NO_TIMESTAMPS] if multilingual else [NO_TIMESTAMPS]
    ids = {token: tokenizer.token_to_id(token) for token in names}
    if multilingual and ids[names[0]] is None:
        raise InputError(f"{directory}: the encoder's tokenizer has no language {language!r}")
    prefix = (start, *(number for number in ids.values() if number is not None))
    return TextCodec(tokenizer, (), prefix, token_id(settings, directory, "eos_token_id"))


def _attention_params(width: int) -> int:
    return 4 * width**2 + 3 * width  # q, v and output have a bias, but k has none


def _ffn_params(width: int, inner: int) -> int:
    return 2 * width * inner + inner + width


def _norm_params(width: int) -> int:
    return 2 * width


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
        name=name,
        source=f"https://huggingface.co/openai/{name}/blob/main/config.json",
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
    _row("whisper-tiny", 384, 4),
    _row("whisper-tiny.en", 384, 4, vocabulary=51_864),
    _row("whisper-base", 512, 6),
    _row("whisper-base.en", 512, 6, vocabulary=51_864),
    _row("whisper-small", 768, 12),
    _row("whisper-small.en", 768, 12, vocabulary=51_864),
    _row("whisper-medium", 1024, 24),
    _row("whisper-medium.en", 1024, 24, vocabulary=51_864),
    _row("whisper-large-v2", 1280, 32),
    _row("whisper-large-v3", 1280, 32, vocabulary=51_866, mel_bins=128),
    _row("whisper-large-v3-turbo", 1280, 32, vocabulary=51_866, mel_bins=128, decoder_layers=4),
)
