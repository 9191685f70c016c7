"""One node of the plan, from its files to its result: load, train, look at dev, test where a run ends here."""

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from scaling.asr.checkpoint import Checkpoint, Progress, Weights, load, load_latest, save, save_periodic
from scaling.asr.data import Speech
from scaling.asr.evaluate import Looks, Scored, evaluate
from scaling.asr.memory import loaded_bytes, refuse_too_large, training_bytes
from scaling.asr.model import BaseModels, Recognizer, build
from scaling.asr.train import Hooks, train
from scaling.errors import InputError
from scaling.geometry import Geometry
from scaling.ledger import Attempt, write_text_atomically
from scaling.models import encoder_dims, llm_dims
from scaling.spec import Objective, Part, StageNode
from scaling.stream import Position
from scaling.text import TextCodec, asr_codec, llm_codec

LOOK_UTTERANCES = 100
"""Dev utterances scored for a look during training: enough to see a curve, a third of the usual dev set's cost."""

ADAPTERS = {Part.ENCODER_LORA: Part.ENCODER, Part.LLM_LORA: Part.LLM}
"""The parts that are adapters, and the part whose weights they adapt."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the things a node names by digest lie on this machine: digest -> {path, hours}."""

    places: dict[str, dict[str, Any]]

    def directory(self, digest: str) -> Path:
        """A model's directory. Raises InputError where the plan names none: such a model can be priced, not trained."""
        if digest not in self.places or not self.places[digest]["path"]:
            raise InputError(f"model {digest}: no directory with weights; give one in the study or download the model")
        return Path(self.places[digest]["path"])

    def manifest(self, digest: str) -> tuple[Path, float | None]:
        """A manifest and the cap on its hours."""
        return Path(self.places[digest]["path"]), self.places[digest].get("hours")


class Workshop:
    """What a worker keeps between nodes: base models and the speech it has read."""

    def __init__(self, sources: Sources, device: torch.device) -> None:
        self.sources = sources
        self.device = device
        self.bases = BaseModels({})
        self._speech: dict[tuple[str, str, str, str, str], Speech] = {}

    def directories(self, node: StageNode) -> tuple[Path, Path]:
        """Directories of the encoder and the LLM."""
        return self.sources.directory(node.model.encoder), self.sources.directory(node.model.llm)

    def codecs(self, node: StageNode) -> tuple[TextCodec, TextCodec]:
        """How the encoder-decoder and the LLM read and write text."""
        encoder, llm = self.directories(node)
        return asr_codec(encoder, node.data.language), llm_codec(llm, node.data.prompt)

    def geometry(self, node: StageNode) -> Geometry:
        """The dimensions that FLOPs are counted from."""
        encoder, llm = self.directories(node)
        asr, text = self.codecs(node)
        return Geometry(
            encoder=encoder_dims(encoder / "config.json"),
            llm=llm_dims(llm / "config.json"),
            stack=node.model.stack,
            hidden=node.model.hidden,
            encoder_lora=node.model.encoder_lora,
            llm_lora=node.model.llm_lora,
            llm_prompt_tokens=len(text.before) + len(text.prefix) - 1,
            asr_prompt_extra=len(asr.prefix) - 1,
        )

    def speech(self, node: StageNode, digest: str) -> Speech:
        """The utterances of one manifest, as this node's models read them."""
        key = (digest, node.model.encoder, node.model.llm, node.data.prompt, node.data.language)
        if key not in self._speech:
            manifest, hours = self.sources.manifest(digest)
            self._speech[key] = Speech.read(manifest, hours, *self.directories(node), self.codecs(node))
        return self._speech[key]

    def recognizer(self, node: StageNode, carried: Weights) -> Recognizer:
        """The model at the beginning of the node's stage: base weights, then all that earlier stages trained."""
        directories, codecs = self.directories(node), self.codecs(node)
        loaded = loaded_bytes(self.geometry(node), node.stage.objective)
        for device in {torch.device("cpu"), self.device}:  # weights are read into memory first
            refuse_too_large(f"loading {_names(node)}", loaded, device)
        model = build(node.model, node.stage.objective, self.bases, *directories, codecs, node.seed)
        present = {Part(name.partition("/")[0]) for name in carried}
        if node.stage.objective is Objective.ASR:
            present -= {Part.PROJECTOR, Part.LLM_LORA, Part.LLM}
        for part in ADAPTERS:
            if part in present | node.stage.parts:
                lora = node.model.llm_lora if part is Part.LLM_LORA else node.model.encoder_lora
                model.add_adapters(part, lora, node.seed)
        for part in present:
            load_part(model, part, carried)
        for part in ADAPTERS:
            if part in present - node.stage.parts:
                model.merge_adapters(part)
        return model.to(self.device)


def run_node(
    node: StageNode,
    attempt: Attempt,
    workshop: Workshop,
    checkpoint_seconds: float,
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """Train `node` in `attempt` and return its result, ready to commit.

    Goes on from the newest checkpoint of any attempt at this node, else from its start or its parent.
    """
    ledger = attempt.ledger
    beginning, carried = _beginning(node, workshop, ledger.folder)
    resumed = load_latest([other.folder for other in ledger.attempts(node.key)])
    start = resumed or beginning
    spent_before = beginning.progress
    base = (spent_before.flops, spent_before.executed_flops, spent_before.seconds)
    refuse_too_large(f"training {_names(node)}", training_bytes(workshop.geometry(node), node.stage), workshop.device)
    model = workshop.recognizer(node, carried)
    for part in node.stage.parts:
        load_part(model, part, start.weights)
    speech = workshop.speech(node, node.data.train)
    dev = workshop.speech(node, node.data.dev)
    attempt.log({"event": "start", "stage": node.stage.name, "flops": start.progress.flops, "resumed": bool(resumed)})
    looks = Looks()

    def look(progress: Progress) -> bool:
        if not looks.due(progress.seconds - start_seconds):
            return False
        began = time.perf_counter()
        scored = evaluate(model, dev, node.stage.objective, "dev", LOOK_UTTERANCES)
        looks.took(time.perf_counter() - began, progress.seconds - start_seconds)
        attempt.log({"event": "dev", "flops": progress.flops, "cer": scored.summary()["cer"]})
        return True

    def report(progress: Progress, loss: float, factor: float) -> None:
        counts = {name: getattr(progress, name) for name in ("flops", "executed_flops", "steps", "seconds")}
        audio = {"audio_seconds": progress.audio_samples / 16_000}
        attempt.log({"event": "progress", **counts, **audio, "loss": loss, "rate_factor": factor})

    start_seconds = start.progress.seconds
    hooks = Hooks(
        on_progress=report,
        on_checkpoint=lambda checkpoint: save_periodic(attempt.folder, checkpoint),
        on_look=look,
        should_stop=should_stop,
        checkpoint_seconds=checkpoint_seconds,
    )
    end = train(node, model, speech, workshop.geometry(node), start, hooks)
    optimizer = end.optimizer if node.cooldown_from_flops is None else None
    final = Checkpoint(_outlived(carried, node.stage.parts) | end.weights, optimizer, end.progress)
    save(attempt.folder / "final", final)
    result = _result(node, final.progress, base, speech, attempt)
    return result | (_scores(node, model, workshop, dev, attempt) if node.final else {"dev": None, "test": None})


def _names(node: StageNode) -> str:
    return f"{node.model.encoder_name} + {node.model.llm_name} (stage {node.stage.name!r})"


def load_part(model: Recognizer, part: Part, weights: Weights) -> None:
    """Put what `weights` hold of `part` into the model. Raises InputError where a tensor has another shape."""
    for name, parameter in model.part_parameters(part).items():
        tensor = weights.get(f"{part.value}/{name}")
        if tensor is None:
            continue
        if tensor.shape != parameter.shape:
            raise InputError(
                f"checkpoint: {part.value}/{name} has shape {tuple(tensor.shape)}, not {tuple(parameter.shape)}"
            )
        with torch.no_grad():
            parameter.copy_(tensor)


def _outlived(carried: Weights, trained: frozenset[Part]) -> Weights:
    """Weights of earlier stages that still count: adapters that were merged into weights trained since are in those."""
    merged = {adapter for adapter, base in ADAPTERS.items() if base in trained and adapter not in trained}
    return {name: tensor for name, tensor in carried.items() if Part(name.partition("/")[0]) not in merged}


def _beginning(node: StageNode, workshop: Workshop, folder: Callable[[str], Path]) -> tuple[Checkpoint, Weights]:
    """Where the node sets out from, and the weights of earlier stages it carries along."""
    carried: Weights = {}
    progress = Progress.beginning(Position(0, 0), np.zeros(len(workshop.speech(node, node.data.train)), dtype=bool))
    if node.parent is not None:
        parent = _final_checkpoint(folder(node.parent))
        carried = parent.weights
        progress = Progress.beginning(parent.progress.position.next_stage(), parent.progress.seen)
    if node.start is not None:
        return _final_checkpoint(folder(node.start)), carried
    return Checkpoint({}, None, progress), carried


def _final_checkpoint(folder: Path) -> Checkpoint:
    result = json.loads((folder / "result.json").read_bytes())
    return load(folder / result["checkpoint"])


def _result(
    node: StageNode, progress: Progress, base: tuple[int, int, float], speech: Speech, attempt: Attempt
) -> dict[str, Any]:
    seen = float(speech.samples[progress.seen].sum()) / 16_000
    return {
        "status": "ok",
        "flops": progress.flops,
        "executed_flops": progress.executed_flops,
        "steps": progress.steps,
        "audio_seconds": progress.audio_samples / 16_000,
        "seconds": progress.seconds,
        "unique_audio_seconds": seen,
        "spent": {
            "flops": progress.flops - base[0],
            "executed_flops": progress.executed_flops - base[1],
            "seconds": progress.seconds - base[2],
        },
        "loss": progress.loss,
        "checkpoint": f"attempts/{attempt.folder.name}/final",
        "utterances": f"attempts/{attempt.folder.name}/utterances.jsonl" if node.final else None,
        "provenance": {
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }


def _scores(node: StageNode, model: Recognizer, workshop: Workshop, dev: Speech, attempt: Attempt) -> dict[str, Any]:
    """Error rates on dev and every test set; each test utterance's hypothesis and errors go to a file."""
    objective = node.stage.objective
    tests: dict[str, Scored] = {
        name: evaluate(model, workshop.speech(node, content), objective, name) for name, content in node.data.test
    }
    lines = [json.dumps(row, ensure_ascii=False) for scored in tests.values() for row in scored.rows]
    write_text_atomically(attempt.folder / "utterances.jsonl", "\n".join(lines) + "\n")
    return {
        "dev": evaluate(model, dev, objective, "dev").summary(),
        "test": {name: scored.summary() for name, scored in tests.items()},
    }
