"""What a worker keeps between nodes: where things lie, base models, speech, and recognisers built from them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from scaling.asr.checkpoint import Weights
from scaling.asr.execution.compiled_layers import compile_layers
from scaling.asr.execution.device_memory import refuse_too_large
from scaling.asr.execution.precision import round_frozen_weights
from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks
from scaling.asr.execution.recomputed_layers import checkpoint_layers
from scaling.asr.execution.sharding import shard, shard_like
from scaling.asr.inputs.augment import Augmenter
from scaling.asr.inputs.dataset import SpeechDataset
from scaling.asr.inputs.encoder_groups import GROUP_SAMPLES, EncoderGroups
from scaling.asr.inputs.encoder_output_cache import EncoderOutputCache
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.model.load_base import BaseModels, build
from scaling.asr.model.recognizer import Recognizer
from scaling.base_models.encoders import asr_codec, encoder_dims
from scaling.base_models.llms import llm_dims
from scaling.base_models.tokenizers import TextCodec, llm_codec
from scaling.cost.memory import BYTES, loaded_weights
from scaling.cost.model_shape import ModelShape, shape_of
from scaling.cost.step_costs import encoder_is_frozen
from scaling.errors import InputError
from scaling.ledger.plan_file import NO_CACHE, CacheLimits, Source
from scaling.spec import NO_AUGMENTATION, Objective, Part, Precision, StageNode
from scaling.speech.batches import BatchStream
from scaling.speech.manifest import TEXT_TOO_LONG, Manifest, read_manifest

ADAPTERS = {Part.ENCODER_LORA: Part.ENCODER, Part.LLM_LORA: Part.LLM}
"""The parts that are adapters, and the part whose weights they adapt."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the models and manifests that a node names by digest lie on this machine."""

    places: dict[str, Source]

    def directory(self, digest: str) -> Path:
        """A model's directory. Raises InputError where the plan names none: such a model can be priced, not trained."""
        path = self.places[digest].path if digest in self.places else None
        if not path:
            raise InputError(f"model {digest}: no directory with weights; give one in the study or download the model")
        return Path(path)

    def manifest(self, digest: str) -> Manifest:
        """The utterances of a manifest. Raises InputError where they are no longer those that were planned."""
        place = self.places[digest]
        manifest = read_manifest(Path(place.path or ""), max_bad_share=1.0).up_to(place.max_seconds)
        manifest = manifest.without(place.unwritable, TEXT_TOO_LONG).within(place.hours)
        if manifest.digest != digest:
            raise InputError(
                f"{place.path}: has changed since it was planned: {len(manifest)} utterances of digest"
                f" {manifest.digest}; expected {digest}. Run the study again"
            )
        return manifest


class WorkerResources:
    """What a worker keeps between nodes: base models and the speech it has read.

    `recompute`: models are trained under gradient checkpointing. `compiled`: their layers are compiled for training.
    """

    def __init__(
        self,
        sources: Sources,
        device: torch.device,
        bounds: CacheLimits = NO_CACHE,
        ranks: Ranks = SINGLE_PROCESS,
        *,
        recompute: bool = False,
        compiled: bool = False,
    ) -> None:
        self.sources = sources
        self.device = device
        self.ranks = ranks
        self._recompute, self._compiled = recompute, compiled
        self.bases = BaseModels({})
        self._kept = EncoderOutputCache(bounds)
        self._datasets: dict[tuple[str, str, str, str, str, Augmenter | None], SpeechDataset] = {}

    def directories(self, node: StageNode) -> tuple[Path, Path]:
        """Directories of the encoder and the LLM."""
        return self.sources.directory(node.model.encoder), self.sources.directory(node.model.llm)

    def codecs(self, node: StageNode) -> tuple[TextCodec, TextCodec]:
        """How the encoder-decoder and the LLM read and write text."""
        encoder, llm = self.directories(node)
        return asr_codec(encoder, node.data.language), llm_codec(llm, node.data.prompt)

    def model_shape(self, node: StageNode) -> ModelShape:
        """The dimensions that FLOPs are counted from."""
        encoder, llm = self.directories(node)
        dims = encoder_dims(encoder / "config.json"), llm_dims(llm / "config.json")
        return shape_of(node.model, *dims, *self.codecs(node))

    def dataset(self, node: StageNode, digest: str) -> SpeechDataset:
        """The utterances of one manifest, as this node's models read them."""
        augmented = digest == node.data.train and node.data.augmentation != NO_AUGMENTATION
        harder = Augmenter(node.data.augmentation, node.seed) if augmented else None
        key = (digest, node.model.encoder, node.model.llm, node.data.prompt, node.data.language, harder)
        if key not in self._datasets:
            manifest, codecs = self.sources.manifest(digest), self.codecs(node)
            self._datasets[key] = SpeechDataset.read(manifest, *self.directories(node), codecs, harder)
        return self._datasets[key]

    def model_inputs(self, node: StageNode, model: Recognizer, digest: str) -> ModelInputs:
        """One manifest as `model` hears it in the node's stage; what a frozen encoder makes of it is kept."""
        dataset = self.dataset(node, digest)
        inputs = partial(ModelInputs, model, dataset, node.precision)
        if not encoder_is_frozen(node.stage.parts):
            return inputs()
        groups = self._groups(node, dataset) if self.device.type == "cpu" else None
        if dataset.varies:
            return inputs(groups, EncoderOutputCache(NO_CACHE).state(""))
        of_node = (node.model.encoder, model.encoder_digest(), node.precision, digest)
        state = "/".join((*of_node, str(node.data.augmentation.speeds), f"seed {node.seed}"))
        return inputs(groups, self._kept.state(state))

    def _groups(self, node: StageNode, dataset: SpeechDataset) -> EncoderGroups:
        """What a frozen encoder hears together; speech that varies is heard as it is read, each utterance alone."""
        stream = BatchStream(dataset.samples, node.seed, node.stage.optimization.batch_audio_seconds)
        frames = self.model_shape(node).encoder.input_frames(dataset.samples)
        return EncoderGroups.of(frames, stream, 0 if dataset.varies else GROUP_SAMPLES)

    def recognizer(self, node: StageNode, carried: Weights, *, rounded: bool = False) -> Recognizer:
        """The model at the beginning of the node's stage: base weights, then all that earlier stages trained.

        All in fp32; `rounded`, to be trained, what is frozen as the node's precision reads it: see `round_frozen_weights`.
        """
        directories, codecs = self.directories(node), self.codecs(node)
        loaded = BYTES * sum(loaded_weights(self.model_shape(node), node.stage.objective).values())
        spreads = self.ranks.shard and node.stage.objective is Objective.LLM
        for device in {torch.device("cpu"), *([] if spreads or rounded else [self.device])}:  # read into memory first
            refuse_too_large(f"loading {describe_node(node)}", loaded, device)
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
        if rounded and node.precision is Precision.BF16:
            model.set_trainable(node.stage.parts)
            round_frozen_weights(model)
        if rounded and self._compiled:
            compile_layers(model)
        if rounded and self._recompute:
            checkpoint_layers(model)
        return shard(model, self.ranks.size, self.device) if spreads else model.to(self.device)


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
            parameter.copy_(shard_like(tensor, parameter))


def weights_carried_on(carried: Weights, trained: frozenset[Part]) -> Weights:
    """Weights of earlier stages that still count: adapters that were merged into weights trained since are in those."""
    merged = {adapter for adapter, base in ADAPTERS.items() if base in trained and adapter not in trained}
    return {name: tensor for name, tensor in carried.items() if Part(name.partition("/")[0]) not in merged}


def describe_node(node: StageNode) -> str:
    """A node's models and stage, for messages."""
    return f"{node.model.encoder_name} + {node.model.llm_name} (stage {node.stage.name!r})"
