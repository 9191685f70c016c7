"""The audio tower of Qwen3-ASR (Shi et al. 2026): convolutions on chunks of a second, and a transformer encoder whose
attention stays within windows of some chunks. It was trained behind an LLM, and writes nothing itself.

Convolutions run on all of the last chunk, which zeros fill up; layers run on what is real.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from scaling.arrays import IntArray
from scaling.base_models.config_file import ConfigFile, Settings, published
from scaling.base_models.encoders.ctc import AudioTowerDims
from scaling.base_models.encoders.log_mel import HOP_LENGTH, LogMelFrames, hop_length
from scaling.base_models.encoders.subsampling import Subsampling
from scaling.base_models.matmul_tape import Flow, Tape, Weights, Work, attention, feed_forward
from scaling.errors import InputError
from scaling.keys import OMIT_DEFAULT
from scaling.spec import SAMPLE_RATE, LoraSpec, Part

CHUNK, WINDOW_CHUNKS = 100, 8
"""Mel frames of a chunk (transformers counts positions for no other), and chunks in a window of published models."""

SIZES = {
    "mel_bins": ("num_mel_bins", 128),
    "channels": ("downsample_hidden_size", 480),
    "width": ("d_model", 1024),
    "layers": ("encoder_layers", 24),
    "heads": ("encoder_attention_heads", 16),
    "ffn": ("encoder_ffn_dim", 4096),
}
"""Settings of the encoder with transformers' defaults, which are those of the 1.7B model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Qwen3AsrDims(LogMelFrames, AudioTowerDims):
    """Widths in features, `hop_length` in samples; attention sees `window_chunks` chunks at a time."""

    linears: ClassVar[tuple[str, ...]] = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")

    mel_bins: int
    hop_length: int
    channels: int
    window_chunks: int
    fresh_vocabulary: int = field(default=0, metadata=OMIT_DEFAULT)

    @property
    def encoder_params(self) -> int:
        """Parameters of the encoder; its positions are sinusoids and none."""
        front_end = self._subsampling.params + self._subsampling.width * self.width
        layer = 4 * (self.width + 1) * self.width + 2 * self.width * self.ffn + self.ffn + 5 * self.width
        return front_end + self.layers * layer + 2 * self.width

    @property
    def frames_per_second(self) -> float:
        """Encoder positions per second of audio."""
        return SAMPLE_RATE / self.hop_length * self._chunk_positions / CHUNK

    def encoder_work(self, samples: IntArray) -> dict[Work, IntArray]:
        """Units of work for utterances of so many samples."""
        frames = self.input_frames(samples)
        chunks, of_chunk = -(-frames // CHUNK), self._chunk_positions
        positions = frames // CHUNK * of_chunk + self._subsampling.positions(frames % CHUNK)
        window = self.window_chunks * of_chunk
        windows, rest = positions // window, positions % window
        return {
            **{work: chunks * cells for work, cells in self._subsampling.work(CHUNK).items()},
            Work.CHUNK_FRAMES: chunks * of_chunk,
            Work.ENCODER_FRAMES: positions,
            Work.ENCODER_PAIRS: windows * window**2 + rest**2,
        }

    def encode(self, tape: Tape, lora: LoraSpec) -> Flow:
        """Record the encoder: from mel frames to `width` features in each position."""
        weights = Weights(Part.ENCODER, Part.ENCODER_LORA, lora)
        cells = self._subsampling.record(tape, weights)
        flat = replace(cells, work=Work.CHUNK_FRAMES, width=self._subsampling.width)
        frames = replace(tape.linear(weights, "conv_out", flat, self.width), work=Work.ENCODER_FRAMES)

        def layer(x: Flow) -> Flow:
            x = x.plus(attention(tape, weights, x, x, Work.ENCODER_PAIRS, self.width, self.width, "out_proj"))
            return x.plus(feed_forward(tape, weights, x, self.ffn))

        return tape.layers(self.layers, frames, layer)

    @property
    def _subsampling(self) -> Subsampling:
        return Subsampling(self.mel_bins, 3, self.channels, 3, separable=False)

    @property
    def _chunk_positions(self) -> int:
        return self._subsampling.positions(CHUNK)


def read_dims(config: ConfigFile) -> Qwen3AsrDims:
    """Dimensions from the config.json of Qwen3-ASR, or of its tower alone. Raises InputError as `tower_dims`."""
    is_whole = config.values.get("model_type") == "qwen3_asr"
    return tower_dims(config.section("audio_config") if is_whole else config, SIZES)


def tower_dims(tower: ConfigFile, settings: Settings) -> Qwen3AsrDims:
    """Dimensions by a tower's settings. Raises InputError on chunks of other sizes, and windows not made of chunks."""
    tower.expect("n_window", CHUNK // 2, "transformers counts positions for no other chunks")
    window = tower.integer("n_window_infer", WINDOW_CHUNKS * CHUNK)
    if window % CHUNK:
        raise InputError(f"{tower.path}: n_window_infer is {window}; expected a multiple of {CHUNK}")
    sizes, hop = tower.sizes(settings), hop_length(tower.path.parent)
    return Qwen3AsrDims(**tower.origin, **sizes, hop_length=hop, window_chunks=window // CHUNK)


ROWS = (Qwen3AsrDims(**published("Qwen/Qwen3-ASR-1.7B-hf", SIZES), hop_length=HOP_LENGTH, window_chunks=WINDOW_CHUNKS),)
