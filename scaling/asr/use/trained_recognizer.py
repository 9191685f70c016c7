"""A trained recogniser, ready to write what it hears: from a run's checkpoint, or from a folder it was exported to.

FOLDER/recognizer.json        objective, precision, projector shape, prompt, language and scoring
FOLDER/encoder, FOLDER/llm    Hugging Face directories with all that was trained, adapters merged
FOLDER/projector.safetensors  `fc1` and `fc2`; absent, like `llm`, where the encoder-decoder itself writes
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from scaling.asr.checkpoint import load
from scaling.asr.evaluation.decode import group_by_length, token_limits, transcribe
from scaling.asr.execution.device_memory import refuse_too_large
from scaling.asr.execution.precision import autocast
from scaling.asr.model.encoders.family import FeatureExtractor
from scaling.asr.model.encoders.registry import family_of
from scaling.asr.model.load_base import BaseModels
from scaling.asr.model.projector import Projector
from scaling.asr.model.recognizer import Batch, Recognizer
from scaling.asr.part_weights import ADAPTERS
from scaling.asr.resources import Sources, WorkerResources
from scaling.base_models.encoders import asr_codec, encoder_dims
from scaling.base_models.llms import llm_dims
from scaling.base_models.tokenizers import llm_codec
from scaling.cost.memory import BYTES
from scaling.errors import InputError
from scaling.ledger.freed_checkpoints import checkpoint_of
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import Source
from scaling.spec import Objective, Precision, StageNode
from scaling.speech.audio import Clip, clip_samples, read_clip, read_header
from scaling.system.atomic_files import write_json_atomically
from scaling.system.json_files import read_json

SCHEMA = "asr-scaling/recognizer-1"

CONFIG = "recognizer.json"
PROJECTOR = "projector.safetensors"

COMPANIONS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "normalizer.json",
    "chat_template.jinja",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "LICENSE",
)
"""Files beside a base model's weights that training does not change, and that belong to the model."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedRecognizer:
    """A recogniser in eval mode, the objective and the precision it decodes by, and its features."""

    model: Recognizer
    objective: Objective
    precision: Precision
    features: FeatureExtractor

    def transcripts(self, clips: Sequence[Clip]) -> Iterator[tuple[int, str]]:
        """(place in `clips`, text), batch by batch from short to long. Raises AudioError on what is no audio."""
        lengths = np.array([clip_samples(clip, read_header(clip)) for clip in clips], dtype=np.int64)
        device = next(self.model.parameters()).device
        for indices in group_by_length(np.argsort(lengths, kind="stable").tolist(), lengths):
            features = [self.features(read_clip(clips[index])) for index in indices]
            batch = Batch.padded(features, device)
            with autocast(self.precision, device):
                texts = transcribe(self.model, batch, self.objective, token_limits(lengths[indices]))
            yield from zip(indices, texts, strict=True)


def read_run(ledger: Ledger, sources: dict[str, Source], key: str) -> tuple[TrainedRecognizer, StageNode]:
    """The recogniser at the end of node `key`, as it was when the run was tested, and the node.

    Raises InputError where its checkpoint is broken or too large for this machine.
    """
    node, checkpoint = ledger.node(key), checkpoint_of(ledger, key)
    if checkpoint is None:
        raise InputError(f"{ledger.folder(key)}: the node has no checkpoint; expected a finished run with weights")
    weights = load(checkpoint).weights
    resources = WorkerResources(Sources(sources), best_device())
    model = resources.recognizer(node, weights).eval()
    return TrainedRecognizer(
        model, node.stage.objective, node.precision, _features(resources.directories(node)[0])
    ), node


def write_export(trained: TrainedRecognizer, node: StageNode, bases: tuple[Path, Path], folder: Path) -> None:
    """Write the recogniser into `folder`, an empty one. `bases` are the directories it was trained from."""
    model = trained.model.cpu()
    config: dict[str, Any] = {
        "schema": SCHEMA,
        "objective": trained.objective.value,
        "precision": trained.precision.value,
        "language": node.data.language,
        "scoring": node.data.scoring.value,
    }
    for adapter in ADAPTERS:
        if model.has(adapter):
            model.merge_adapters(adapter)
    _write_model(model.asr, bases[0], folder / "encoder")
    if model.llm is not None and model.projector is not None:
        _write_model(model.llm, bases[1], folder / "llm")
        save_file(model.projector.state_dict(), folder / PROJECTOR)
        config |= {"stack": node.model.stack, "hidden": node.model.hidden, "prompt": node.data.prompt}
    write_json_atomically(folder / CONFIG, config)


def read_export(folder: Path) -> TrainedRecognizer:
    """The recogniser that `write_export` wrote.

    Raises InputError on another schema, on files that are missing or broken, and where it is too large.
    """
    config = read_json(folder / CONFIG)
    if config.get("schema") != SCHEMA:
        raise InputError(f"{folder / CONFIG}: schema {config.get('schema')!r}; expected {SCHEMA!r}")
    try:
        objective, device = Objective(config["objective"]), best_device()
        precision = Precision(config.get("precision", Precision.FP32))  # exports did not name it at first
        refuse_too_large(f"the recogniser in {folder}", _exported_bytes(folder, objective), device)
        model = _exported_encoder(folder, config) if objective is Objective.ASR else _exported_pair(folder, config)
        return TrainedRecognizer(model.to(device).eval(), objective, precision, _features(folder / "encoder"))
    except InputError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder}: not a whole export ({type(error).__name__}: {error})") from error


def _features(encoder: Path) -> FeatureExtractor:
    return family_of(encoder).features(encoder)


def best_device() -> torch.device:
    """The accelerator where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _exported_bytes(folder: Path, objective: Objective) -> int:
    encoder = encoder_dims(folder / "encoder" / "config.json")
    params = encoder.encoder_params + encoder.asr_decoder_params
    if objective is Objective.LLM:
        params += llm_dims(folder / "llm" / "config.json").params
    return BYTES * params


def _exported_encoder(folder: Path, config: dict[str, Any]) -> Recognizer:
    encoder = folder / "encoder"
    return Recognizer(BaseModels().encoder(encoder), None, None, asr_codec(encoder, config["language"]), None)


def _exported_pair(folder: Path, config: dict[str, Any]) -> Recognizer:
    encoder, llm = folder / "encoder", folder / "llm"
    projector = Projector(
        encoder_width=encoder_dims(encoder / "config.json").width,
        stack=config["stack"],
        hidden=config["hidden"],
        llm_width=llm_dims(llm / "config.json").width,
        seed=0,  # overwritten
    )
    projector.load_state_dict(load_file(folder / PROJECTOR))
    bases, codecs = BaseModels(), (asr_codec(encoder, config["language"]), llm_codec(llm, config["prompt"]))
    return Recognizer(bases.encoder(encoder), projector, bases.llm(llm), *codecs)


def _write_model(model: PreTrainedModel, base: Path, folder: Path) -> None:
    model.save_pretrained(folder)
    for name in COMPANIONS:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
