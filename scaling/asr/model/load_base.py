"""Base models from Hugging Face directories, and the untrained recogniser that is built from them."""

import copy
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, GenerationConfig, PreTrainedConfig, PreTrainedModel

from scaling.asr.model.encoders.ctc import FreshHead
from scaling.asr.model.encoders.family import Family
from scaling.asr.model.encoders.registry import family_of
from scaling.asr.model.projector import Projector
from scaling.asr.model.recognizer import Recognizer, part_seed
from scaling.base_models.encoders import encoder_dims
from scaling.base_models.llms import llm_dims
from scaling.base_models.tokenizers import TextCodec
from scaling.errors import InputError
from scaling.spec import Part

ATTENTION = "sdpa"
"""The attention kernel of every base model that supports it: fused where the machine has such a kernel, the same
function everywhere. Models that cap attention scores (Gemma 2) do not support it."""

KEEP_IN_MEMORY_PARAMETERS = 100_000_000
"""Base models of up to so many parameters stay in memory and are copied for each node, larger ones are read again: to
copy a mini takes milliseconds, but a second copy of a 7B model may not fit (assumption)."""


@dataclass(slots=True)
class BaseModels:
    """Pretrained models by directory; small ones are read once and copied for every node.

    Nothing in them is random: every dropout, layer drop and random mask of a config is switched off, so that a step is
    a function of weights and batch, and a resumed run equals an uninterrupted one.
    """

    in_memory: dict[Path, PreTrainedModel] = field(default_factory=dict)

    def encoder(self, directory: Path) -> PreTrainedModel:
        """A fresh copy of the speech model in fp32."""
        return self._fresh(directory, family_of(directory))

    def llm(self, directory: Path) -> PreTrainedModel:
        """A fresh causal LM in fp32, without a chat model's penalties and temperature, which change greedy decoding."""
        model = self._fresh(directory, None)
        model.generation_config = GenerationConfig()
        return model

    def _fresh(self, directory: Path, family: Family | None) -> PreTrainedModel:
        if directory in self.in_memory:
            return copy.deepcopy(self.in_memory[directory])
        model = _read(directory, family)
        if sum(p.numel() for p in model.parameters()) > KEEP_IN_MEMORY_PARAMETERS:
            return model
        self.in_memory[directory] = model
        return copy.deepcopy(model)


def build(
    bases: BaseModels,
    directories: tuple[Path, Path],
    codecs: tuple[TextCodec | None, TextCodec | None],
    *,
    stack: int,
    hidden: int,
    seed: int,
) -> Recognizer:
    """The recogniser before any training: the pretrained speech model and LLM of two directories, and a new projector.

    Without a codec of the LLM, the recogniser has neither projector nor LLM: the encoder's own objective needs none. An
    encoder without one gets a fresh CTC head then.
    """
    encoder, llm = directories
    asr, (asr_codec, llm_codec) = bases.encoder(encoder), codecs
    width = encoder_dims(encoder / "config.json").width
    if llm_codec is None:
        assert asr_codec is not None
        vocabulary = asr_codec.tokenizer.get_vocab_size()
        is_tower = family_of(encoder).objective is None
        head = FreshHead(width, vocabulary, part_seed(seed, Part.ASR_DECODER)) if is_tower else None
        return Recognizer(asr, None, None, asr_codec, None, head)
    projector = Projector(
        encoder_width=width,
        stack=stack,
        hidden=hidden,
        llm_width=llm_dims(llm / "config.json").width,
        seed=part_seed(seed, Part.PROJECTOR),
    )
    return Recognizer(asr, projector, bases.llm(llm), asr_codec, llm_codec)


def _read(directory: Path, family: Family | None) -> PreTrainedModel:
    """The encoder of a family, or the causal LM, in a directory; a family says which weights may be drawn anew.

    Raises InputError where transformers refuses the config, or the weights are not those that the config asks for.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # weights that a checkpoint may lack belong to the base model: they are equal in every run
        try:
            config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
            if family is not None:
                config = family.config_of(config)
            _disable_randomness(config)
            loader = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)] if family is None else family.model
            model, report = loader.from_pretrained(
                directory,
                config=config,
                dtype=torch.float32,
                attn_implementation=ATTENTION if loader._supports_sdpa else "eager",
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                key_mapping=dict(family.checkpoint_names) if family else None,
            )
        except Exception as error:  # transformers, safetensors and pickle have no type of error in common
            raise InputError(f"{directory}: a model that cannot be loaded ({_first_line(error)})") from error
    fresh = family.objective.fresh if family and family.objective else ()
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(fresh))
    if missing:
        raise InputError(f"{directory}: the weights lack {_some(missing)}, which its config.json asks for")
    loaded: PreTrainedModel = model
    if family is not None:
        family.prepare(loaded)
    return loaded


def _disable_randomness(config: PreTrainedConfig) -> None:
    """Switch off what is random in a model of this config, and in the models of its sections."""
    for name, value in list(vars(config).items()):
        if isinstance(value, PreTrainedConfig):
            _disable_randomness(value)
        is_random = "drop" in name or (name.startswith("mask_") and name.endswith("_prob"))
        if is_random and isinstance(value, float):
            setattr(config, name, 0.0)


def _some(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more tensors"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
