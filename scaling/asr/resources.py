"""What a worker holds in memory between nodes: base models, datasets, cached encoder outputs; and the recognisers and
model inputs of a node, which are built from them.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from scaling.asr.execution.device_memory import refuse_too_large
from scaling.asr.execution.layer_modes import checkpoint_layers, compile_layers
from scaling.asr.execution.precision import round_frozen_weights
from scaling.asr.execution.ranks import SINGLE_PROCESS, Ranks
from scaling.asr.execution.sharding import shard_llm
from scaling.asr.inputs.augment import Augmenter
from scaling.asr.inputs.dataset import SpeechDataset
from scaling.asr.inputs.encoder_groups import GROUP_SAMPLES, EncoderGroups
from scaling.asr.inputs.encoder_output_cache import EncoderOutputCache
from scaling.asr.inputs.exact_audio import ExactAudio
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.model.load_base import BaseModels, build
from scaling.asr.model.recognizer import Recognizer
from scaling.asr.part_weights import ADAPTERS, Weights, load_part, parts_of
from scaling.base_models.encoders import asr_codec, encoder_dims
from scaling.base_models.encoders.ctc import letters_codec
from scaling.base_models.letters import Letters
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


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the models and manifests that nodes name by digest lie on this machine: digest -> {path, hours, ...}."""

    places: dict[str, Source]

    def directory(self, digest: str) -> Path:
        """A model's directory. Raises InputError where the plan names none: such a model can be priced, not trained."""
        path = self.places[digest].path if digest in self.places else None
        if not path:
            raise InputError(f"model {digest}: no directory with weights; give one in the study or download the model")
        return Path(path)

    def letters(self, digest: str) -> Letters | None:
        """The alphabet of a fresh CTC head; None for the empty digest. Raises InputError where the plan has none."""
        if not digest:
            return None
        characters = self.places[digest].letters if digest in self.places else None
        if characters is None:
            raise InputError(f"letters {digest}: not in the plan; run the study again")
        return Letters(characters)

    def manifest(self, digest: str) -> Manifest:
        """The utterances of a manifest. Raises InputError where they are no longer those that were planned."""
        place = self.places[digest]
        manifest = read_manifest(Path(place.path or ""), max_bad_share=1.0, mix_channels=place.mix_channels)
        manifest = manifest.up_to(place.max_seconds).without(place.unwritable, TEXT_TOO_LONG).within(place.hours)
        if manifest.digest != digest:
            raise InputError(
                f"{place.path}: has changed since it was planned: {len(manifest)} utterances of digest"
                f" {manifest.digest}; expected {digest}. Run the study again"
            )
        return manifest


class WorkerResources:
    """Base models, datasets and cached encoder outputs of one worker, for any node.

    Models are trained with `gradient_checkpointing` and with `compiled` layers where these are set.
    """

    def __init__(
        self,
        sources: Sources,
        device: torch.device,
        cache_limits: CacheLimits = NO_CACHE,
        ranks: Ranks = SINGLE_PROCESS,
        *,
        gradient_checkpointing: bool = False,
        compiled: bool = False,
    ) -> None:
        self.sources = sources
        self.device = device
        self.ranks = ranks
        self.bases = BaseModels()
        self._gradient_checkpointing, self._compiled = gradient_checkpointing, compiled
        self._encoder_outputs = EncoderOutputCache(cache_limits)
        self._datasets: dict[tuple[str, str, str, Letters | None, str, str, Augmenter | None], SpeechDataset] = {}

    def directories(self, node: StageNode) -> tuple[Path, Path]:
        """Directories of the encoder and the LLM."""
        return self.sources.directory(node.model.encoder), self.sources.directory(node.model.llm)

    def codecs(self, node: StageNode) -> tuple[TextCodec | None, TextCodec]:
        """The codecs of the encoder's own objective, None without one, and of the LLM."""
        encoder, llm = self.directories(node)
        letters = self._letters(node)
        own = asr_codec(encoder, node.data.language) if letters is None else letters_codec(letters)
        return own, llm_codec(llm, node.data.prompt)

    def _letters(self, node: StageNode) -> Letters | None:
        """What a fresh CTC head writes in the node's stage.

        A stage that trains through the LLM has none: a study with another head, or without one, may share the node.
        """
        return self.sources.letters(node.model.ctc_letters) if node.stage.objective is Objective.ASR else None

    def model_shape(self, node: StageNode) -> ModelShape:
        """The dimensions that FLOPs are counted from."""
        encoder, llm = self.directories(node)
        dims = encoder_dims(encoder / "config.json"), llm_dims(llm / "config.json")
        return shape_of(node.model, *dims, *self.codecs(node))

    def dataset(self, node: StageNode, digest: str) -> SpeechDataset:
        """The utterances of one manifest, as this node's models read them; augmented where it is the training set."""
        augmented = digest == node.data.train and node.data.augmentation != NO_AUGMENTATION
        augmenter = Augmenter(node.data.augmentation, node.seed) if augmented else None
        model, data, letters = node.model, node.data, self._letters(node)
        key = (digest, model.encoder, model.llm, letters, data.prompt, data.language, augmenter)
        if key not in self._datasets:
            audio = ExactAudio(manifest=self.sources.manifest(digest), is_training=digest == data.train)
            self._datasets[key] = SpeechDataset.read(
                audio, *self.directories(node), self.codecs(node), augmenter, letters
            )
        return self._datasets[key]

    def model_inputs(self, node: StageNode, model: Recognizer, digest: str) -> ModelInputs:
        """Batches of a manifest in the stage; a frozen encoder's outputs are cached unless the dataset varies."""
        dataset = self.dataset(node, digest)
        inputs = partial(ModelInputs, model, dataset, node.precision)
        if not encoder_is_frozen(node.stage.parts):
            return inputs()
        groups = self._groups(node, dataset) if self.device.type == "cpu" else None
        if dataset.varies:
            return inputs(groups, EncoderOutputCache(NO_CACHE).state(""))
        of_node = (node.model.encoder, model.encoder_digest(), node.precision, digest)
        state = "/".join((*of_node, str(node.data.augmentation.speeds), f"seed {node.seed}"))
        return inputs(groups, self._encoder_outputs.state(state))

    def _groups(self, node: StageNode, dataset: SpeechDataset) -> EncoderGroups:
        """The utterances that a frozen encoder encodes together; each is alone where the dataset varies."""
        stream = BatchStream(dataset.samples, node.seed, node.stage.optimization.batch_audio_seconds)
        frames = self.model_shape(node).encoder.input_frames(dataset.samples)
        return EncoderGroups.of(frames, stream, 0 if dataset.varies else GROUP_SAMPLES)

    def recognizer(self, node: StageNode, earlier: Weights, *, for_training: bool = False) -> Recognizer:
        """The model at the beginning of the node's stage: base weights, then the weights that earlier stages trained.

        All weights are fp32; `for_training`, frozen ones have the node's precision (see `round_frozen_weights`) and
        layers run as the worker's settings say.
        """
        sharded = self.ranks.shard and node.stage.objective is Objective.LLM
        needed_bytes = BYTES * sum(loaded_weights(self.model_shape(node), node.stage.objective).values())
        for device in {torch.device("cpu"), *([] if sharded or for_training else [self.device])}:  # the CPU loads first
            refuse_too_large(f"loading {describe_node(node)}", needed_bytes, device)
        asr, llm = self.codecs(node)
        codecs = (asr, llm if node.stage.objective is Objective.LLM else None)
        shape = {"stack": node.model.stack, "hidden": node.model.hidden}
        model = build(self.bases, self.directories(node), codecs, **shape, seed=node.seed)
        _add_earlier_stages(model, node, earlier)
        if for_training:
            self._prepare_training(model, node)
        return shard_llm(model, self.ranks.size, self.device) if sharded else model.to(self.device)

    def _prepare_training(self, model: Recognizer, node: StageNode) -> None:
        if node.precision is Precision.BF16:
            model.set_trainable(node.stage.parts)
            round_frozen_weights(model)
        if self._compiled:
            compile_layers(model)
        if self._gradient_checkpointing:
            checkpoint_layers(model)


def _add_earlier_stages(model: Recognizer, node: StageNode, earlier: Weights) -> None:
    """Load the weights of earlier stages, merge adapters that the node's stage does not train, add those it does."""
    parts = parts_of(earlier)
    if node.stage.objective is Objective.ASR:
        parts -= {Part.PROJECTOR, Part.LLM_LORA, Part.LLM}
    for part in ADAPTERS:
        if part in parts | node.stage.parts:
            lora = node.model.llm_lora if part is Part.LLM_LORA else node.model.encoder_lora
            model.add_adapters(part, lora, node.seed)
    for part in parts:
        load_part(model, part, earlier)
    for part in ADAPTERS:
        if part in parts - node.stage.parts:
            model.merge_adapters(part)


def describe_node(node: StageNode) -> str:
    """A node's models and stage, for messages."""
    return f"{node.model.encoder_name} + {node.model.llm_name} (stage {node.stage.name!r})"
