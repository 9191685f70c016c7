"""The folder that a recogniser is exported to.

FOLDER/recognizer.json        objective, precision, projector shape, prompt, language, scoring and its version, and the
                              token ids that each model reads `before` speech and before its text (`prefix`, whose last
                              one is the start token), with the `end` token of its text
FOLDER/encoder, FOLDER/llm    Hugging Face directories with all trained weights, adapters merged
FOLDER/projector.safetensors  `fc1` and `fc2`
FOLDER/ctc_head.safetensors   the CTC head that a study gave the encoder, whose alphabet recognizer.json has

Projector and LLM are absent where the encoder's own decoder transcribes, and the CTC head where it does not.
"""

import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from scaling.asr.evaluation.decode import MAX_TOKENS_PER_SECOND
from scaling.asr.execution.device_memory import refuse_too_large
from scaling.asr.model.encoders.registry import family_of
from scaling.asr.model.load_base import BaseModels, build
from scaling.asr.model.recognizer import Recognizer
from scaling.asr.part_weights import ADAPTERS
from scaling.asr.use.trained_recognizer import TrainedRecognizer, best_device
from scaling.base_models.encoders import asr_codec, encoder_dims
from scaling.base_models.encoders.ctc import letters_codec
from scaling.base_models.letters import Letters
from scaling.base_models.llms import llm_dims
from scaling.base_models.tokenizers import llm_codec
from scaling.cost.memory import BYTES
from scaling.errors import InputError
from scaling.scoring.score import VERSIONS
from scaling.spec import Objective, Precision, StageNode
from scaling.system.atomic_files import write_json_atomically
from scaling.system.json_files import read_json

SCHEMA = "asr-scaling/recognizer-1"

CONFIG = "recognizer.json"
PROJECTOR = "projector.safetensors"
CTC_HEAD = "ctc_head.safetensors"

COMPANIONS = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "merges.txt", "normalizer.json", "chat_template.jinja", "generation_config.json", "preprocessor_config.json",
    "processor_config.json", "LICENSE",
)  # fmt: skip
"""Files beside a base model's weights that belong to the model and that training does not change."""


def write_export(trained: TrainedRecognizer, node: StageNode, bases: tuple[Path, Path], folder: Path) -> None:
    """Write the recogniser into an empty `folder`. `bases` are the directories of its untrained encoder and LLM."""
    model = trained.model.cpu()
    config: dict[str, Any] = {
        "schema": SCHEMA,
        "objective": trained.objective.value,
        "precision": trained.precision.value,
        "language": node.data.language,
        "scoring": node.data.scoring.value,
        "scoring_version": VERSIONS[node.data.scoring],
        "max_tokens_per_second": trained.tokens_per_second,
    }
    for adapter in ADAPTERS:
        if model.has(adapter):
            model.merge_adapters(adapter)
    _write_model(model.asr, bases[0], folder / "encoder")
    if model.llm is not None and model.projector is not None:
        _write_model(model.llm, bases[1], folder / "llm")
        save_file(model.projector.state_dict(), folder / PROJECTOR)
        config |= {"stack": node.model.stack, "hidden": node.model.hidden, "prompt": node.data.prompt}
    if model.ctc_head is not None and model.asr_codec is not None:
        save_file(model.ctc_head.state_dict(), folder / CTC_HEAD)
        config["ctc_letters"] = Letters.of_tokenizer(model.asr_codec.tokenizer).characters
    for name, codec in (("asr_tokens", model.asr_codec), ("llm_tokens", model.llm_codec)):
        if codec is not None:
            config[name] = {"before": codec.before, "prefix": codec.prefix, "end": codec.end}
    write_json_atomically(folder / CONFIG, config)


def read_export(folder: Path) -> TrainedRecognizer:
    """The recogniser that `write_export` wrote.

    Raises InputError on another schema, on files that are missing or broken, and where the model is too large for this
    machine.
    """
    config = read_json(folder / CONFIG)
    if config.get("schema") != SCHEMA:
        raise InputError(f"{folder / CONFIG}: schema {config.get('schema')!r}; expected {SCHEMA!r}")
    try:
        objective, device = Objective(config["objective"]), best_device()
        precision = Precision(config.get("precision", Precision.FP32))  # early exports do not name it
        refuse_too_large(f"the recogniser in {folder}", _exported_bytes(folder, objective), device)
        model = _exported_model(folder, objective, config).to(device).eval()
        extract = family_of(folder / "encoder").features(folder / "encoder")
        tokens_per_second = float(config.get("max_tokens_per_second", MAX_TOKENS_PER_SECOND))  # as above
        return TrainedRecognizer(model, objective, precision, extract, tokens_per_second)
    except InputError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder}: not a whole export ({type(error).__name__}: {error})") from error


def _exported_bytes(folder: Path, objective: Objective) -> int:
    encoder = encoder_dims(folder / "encoder" / "config.json")
    params = encoder.encoder_params + encoder.asr_decoder_params
    if objective is Objective.LLM:
        params += llm_dims(folder / "llm" / "config.json").params
    return BYTES * params


def _exported_model(folder: Path, objective: Objective, config: dict[str, Any]) -> Recognizer:
    directories = encoder, llm = folder / "encoder", folder / "llm"
    letters = config.get("ctc_letters")
    codec = asr_codec(encoder, config["language"]) if letters is None else letters_codec(Letters(letters))
    if objective is Objective.ASR:
        own = build(BaseModels(), directories, (codec, None), stack=1, hidden=1, seed=0)
        if own.ctc_head is not None:
            own.ctc_head.load_state_dict(load_file(folder / CTC_HEAD))
        return own
    codecs = (codec, llm_codec(llm, config["prompt"]))
    model = build(BaseModels(), directories, codecs, stack=config["stack"], hidden=config["hidden"], seed=0)
    assert model.projector is not None
    model.projector.load_state_dict(load_file(folder / PROJECTOR))
    return model


def _write_model(model: PreTrainedModel, base: Path, folder: Path) -> None:
    model.save_pretrained(folder)
    for name in COMPANIONS:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
