"""The untrained miniature base models: sizes, tokenizer, and the Hugging Face directories that they are saved to."""

from dataclasses import dataclass
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from scaling.spec import SAMPLE_RATE
from scaling.speech.synthetic.recipes import RECIPES

PAD, START, END, BLANK = range(4)
SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<blank>")
"""Padding, start and end of text, and the blank of CTC and of soft prefixes (silence)."""

ASCII = "abcdefghijklmnopqrstuvwxyz0123456789 '"

HOP_LENGTH = 320
"""Samples between mel frames, 20 ms: 0.64 of the FLOPs of Whisper's 10 ms at the same error (measured on digits)."""

CHUNK_SECONDS = 30
MEL_BINS = 80
TEXT_POSITIONS = 448
"""Decoder positions, as many as Whisper has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSize:
    """A Whisper-shaped encoder-decoder; feed-forward layers are four times as wide."""

    name: str
    width: int
    encoder_layers: int
    decoder_layers: int
    heads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmSize:
    """A Qwen2-shaped causal language model with tied embeddings; feed-forward layers are three times as wide."""

    name: str
    width: int
    layers: int
    heads: int


ENCODERS = {
    size.name: size
    for size in (
        EncoderSize(name="mini-s", width=64, encoder_layers=3, decoder_layers=1, heads=4),
        EncoderSize(name="mini-m", width=96, encoder_layers=3, decoder_layers=1, heads=4),
        EncoderSize(name="mini-l", width=144, encoder_layers=3, decoder_layers=1, heads=4),
    )
}
LLMS = {
    size.name: size
    for size in (
        LlmSize(name="mini-s", width=96, layers=4, heads=4),
        LlmSize(name="mini-m", width=160, layers=4, heads=4),
        LlmSize(name="mini-l", width=224, layers=5, heads=7),
    )
}


def new_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with a token for every character of the grammars and of lower-case ASCII text, and for every byte.

    It is byte-level like Qwen2's, because `AutoTokenizer` reads any tokenizer beside a Qwen2 model as Qwen2's.
    The grammars' characters are added tokens, and so need no merges. Byte b has id 4 + b; where the byte is a character
    with a token of its own, that id stays unused.
    """
    grammars = [source.grammar for recipe in RECIPES.values() for source in recipe.sources]
    characters = sorted(frozenset(ASCII).union(*(grammar.alphabet() for grammar in grammars)))
    symbols = _byte_symbols()
    bytes_ = [f"<0x{byte:02X}>" if chr(byte) in ASCII else symbol for byte, symbol in enumerate(symbols)]
    base = [*SPECIAL_TOKENS, *bytes_, *(symbols[ord(character)] for character in sorted(ASCII))]
    tokenizer = tokenizers.Tokenizer(models.BPE(vocab={token: id_ for id_, token in enumerate(base)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.add_tokens(
        [AddedToken(character, normalized=False) for character in characters if character not in ASCII]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL_TOKENS[PAD],
        bos_token=SPECIAL_TOKENS[START],
        eos_token=SPECIAL_TOKENS[END],
        unk_token=SPECIAL_TOKENS[BLANK],
        clean_up_tokenization_spaces=False,
    )


def _byte_symbols() -> list[str]:
    """The character that stands for each byte in a byte-level vocabulary (GPT-2's convention)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (chr(256 + number) for number in range(256 - len(printable)))
    return [chr(byte) if byte in printable else next(others) for byte in range(256)]


def new_encoder(size: EncoderSize, vocabulary: int) -> WhisperForConditionalGeneration:
    """An untrained encoder-decoder, whose decoder is prompted with the start token alone."""
    config = WhisperConfig(
        vocab_size=_multiple_of_8(vocabulary),
        num_mel_bins=MEL_BINS,
        d_model=size.width,
        encoder_layers=size.encoder_layers,
        decoder_layers=size.decoder_layers,
        encoder_attention_heads=size.heads,
        decoder_attention_heads=size.heads,
        encoder_ffn_dim=4 * size.width,
        decoder_ffn_dim=4 * size.width,
        max_source_positions=CHUNK_SECONDS * SAMPLE_RATE // HOP_LENGTH // 2,
        max_target_positions=TEXT_POSITIONS,
        pad_token_id=PAD,
        bos_token_id=START,
        eos_token_id=END,
        decoder_start_token_id=START,
        begin_suppress_tokens=None,
        suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        pad_token_id=PAD, bos_token_id=START, eos_token_id=END, decoder_start_token_id=START, max_length=TEXT_POSITIONS
    )
    return model


def new_llm(size: LlmSize, vocabulary: int) -> Qwen2ForCausalLM:
    """An untrained language model."""
    config = Qwen2Config(
        vocab_size=_multiple_of_8(vocabulary),
        hidden_size=size.width,
        intermediate_size=3 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        use_sliding_window=False,
        initializer_range=size.width**-0.5,  # 0.02 suits widths of thousands; with it, learning took twice as long here
        pad_token_id=PAD,
        bos_token_id=START,
        eos_token_id=END,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(pad_token_id=PAD, bos_token_id=START, eos_token_id=END)
    return model


def save(
    model: WhisperForConditionalGeneration | Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, directory: Path
) -> None:
    """Write an ordinary Hugging Face directory, with weights in half precision."""
    model.half().save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    if isinstance(model, WhisperForConditionalGeneration):
        features().save_pretrained(directory)


def features() -> WhisperFeatureExtractor:
    """The features that the mini encoders are trained on: Whisper's, with 20 ms between frames."""
    return WhisperFeatureExtractor(feature_size=MEL_BINS, hop_length=HOP_LENGTH, chunk_length=CHUNK_SECONDS)


def _multiple_of_8(vocabulary: int) -> int:
    return -(-vocabulary // 8) * 8
