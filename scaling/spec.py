"""What a run is: frozen values whose content, and nothing else, determines their key.

Where a run executes (paths, devices, threads, workers, micro-batches) is never part of these types. Labels are
declared with `compare=False`: they enter neither equality nor the key, so that a result survives the renaming of its
strategy.
"""

import dataclasses
import functools
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from scaling.keys import OMIT_DEFAULT, canonical, canonical_json, canonical_text, object_text, text_digest

RECIPE_VERSION = 1
"""Raised when the trainer or the FLOP convention changes the result of a run: all runs then have new keys. A scoring
that changes has a version of its own in each result (`scaling.scoring.score.VERSIONS`): transcripts can be scored
again."""

FLOP_CONVENTION = "charged-v1"
"""Forward and backward model FLOPs at real lengths, logits at target positions only (see `scaling.cost.flops`)."""

SAMPLE_RATE = 16_000
"""Audio samples per second (Hz), the rate of every encoder. Other recordings are resampled, and every number of samples
in the product is at this rate."""


class Part(StrEnum):
    """A separately trainable part of the recogniser."""

    ENCODER = "encoder"
    ENCODER_LORA = "encoder_lora"
    ASR_DECODER = "asr_decoder"
    PROJECTOR = "projector"
    LLM_LORA = "llm_lora"
    LLM = "llm"


class Objective(StrEnum):
    """The loss of a stage: the encoder's own objective (`asr`), or the next token through the LLM (`llm`)."""

    ASR = "asr"
    LLM = "llm"


class Precision(StrEnum):
    """Number format of the matrix products; weights and optimizer state are always fp32."""

    FP32 = "fp32"
    BF16 = "bf16"


class Scoring(StrEnum):
    """How texts are normalised and compared (see `scaling.scoring.score`)."""

    PLAIN = "plain"
    WHISPER_ENGLISH = "whisper-english"
    WHISPER_BASIC = "whisper-basic"
    MANDARIN = "mandarin"
    WENET = "wenet"


PARTS_OF = {
    Objective.ASR: frozenset({Part.ENCODER, Part.ENCODER_LORA, Part.ASR_DECODER}),
    Objective.LLM: frozenset({Part.ENCODER, Part.ENCODER_LORA, Part.PROJECTOR, Part.LLM_LORA, Part.LLM}),
}
"""The parts through which the loss of each objective passes: only these can train on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """How a stage updates weights: AdamW with a warm-up, a constant rate and a (1 - sqrt) cooldown.

    The warm-up is a number of steps, because Adam's moment estimates need steps to settle; it does not depend on the
    budget, so that the trunk of a longer budget contains that of a shorter one. `cooldown` is the fraction of the
    stage's FLOPs during which the rate falls.
    """

    batch_audio_seconds: float
    warmup_steps: int
    cooldown: float
    beta1: float
    beta2: float
    weight_decay: float
    clip_norm: float

    def __post_init__(self) -> None:
        if not self.batch_audio_seconds > 0:
            raise ValueError(f"batch_audio_seconds must be above 0, not {self.batch_audio_seconds}")
        if not 0 <= self.cooldown < 1:
            raise ValueError(f"cooldown must lie in [0, 1), not {self.cooldown}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of training in which the same parts of the model train.

    Exactly one of `share` (of the run's budget) and `flops` (a fixed amount) is given.
    `trains` holds (part, peak learning rate) in the order of `Part`.
    """

    name: str = field(compare=False)
    objective: Objective
    trains: tuple[tuple[Part, float], ...]
    share: float | None
    flops: int | None
    optimization: Optimization

    def __post_init__(self) -> None:
        parts = [part for part, _ in self.trains]
        if not parts or parts != sorted(set(parts), key=list(Part).index):
            raise ValueError(f"stage {self.name!r}: trains must name at least one part, each once, in order: {parts}")
        if foreign := set(parts) - PARTS_OF[self.objective]:
            raise ValueError(f"stage {self.name!r}: the {self.objective} loss never reaches {sorted(foreign)}")
        if (self.share is None) == (self.flops is None):
            raise ValueError(f"stage {self.name!r}: give either a share of the budget or a fixed amount of FLOPs")
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError(f"stage {self.name!r}: share must lie in (0, 1], not {self.share}")

    @property
    def parts(self) -> frozenset[Part]:
        """The parts that train."""
        return frozenset(part for part, _ in self.trains)

    def budget(self, budget_flops: int) -> int:
        """FLOPs of this stage in a run of `budget_flops`."""
        return self.flops if self.flops is not None else round((self.share or 0.0) * budget_flops)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """Stages in their order; their shares sum to 1 where no stage has a fixed amount."""

    name: str = field(compare=False)
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        shares = [stage.share for stage in self.stages if stage.share is not None]
        if not self.stages:
            raise ValueError(f"strategy {self.name!r} has no stage")
        if len(shares) == len(self.stages) and not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
            raise ValueError(f"strategy {self.name!r}: the shares of its stages sum to {sum(shares):g}, not 1")
        if sum(shares) > 1 + 1e-6:
            raise ValueError(f"strategy {self.name!r}: the shares of its stages sum to {sum(shares):g}, over 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSpec:
    """Low-rank adapters on the linear layers named in `targets`."""

    rank: int
    alpha: float
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Encoder, projector and LLM. `encoder` and `llm` are digests of config and weights, not names.

    The projector stacks `stack` encoder frames and maps them through one hidden layer of width `hidden`. `ctc_letters`
    is the digest of the alphabet of a fresh CTC head, and empty without one.
    """

    encoder_name: str = field(compare=False)
    llm_name: str = field(compare=False)
    encoder: str
    llm: str
    stack: int
    hidden: int
    encoder_lora: LoraSpec
    llm_lora: LoraSpec
    ctc_letters: str = field(default="", metadata=OMIT_DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How training speech is augmented; not at all by default.

    `speeds` gives a copy of the corpus at each speed. `noise_snr_db` is the range in dB from which a signal-to-noise
    ratio is drawn; the noise is white. `masks` is the number of frequency bands, and of stretches of time, that
    SpecAugment masks.
    """

    speeds: tuple[float, ...] = (1.0,)
    noise_snr_db: tuple[float, float] | None = None
    masks: int = 0

    @property
    def varies(self) -> bool:
        """Whether an utterance is different in each epoch."""
        return self.noise_snr_db is not None or self.masks > 0


NO_AUGMENTATION = Augmentation()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """A run's data: digests of manifests (of content, never of paths), in `test` by name, prompt and scoring."""

    train: str
    dev: str
    test: tuple[tuple[str, str], ...]
    prompt: str
    language: str
    scoring: Scoring = field(default=Scoring.PLAIN, metadata=OMIT_DEFAULT)
    augmentation: Augmentation = field(default=NO_AUGMENTATION, metadata=OMIT_DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run: which model trains, by which strategy, on which data, for how many charged FLOPs."""

    model: ModelSpec
    strategy: Strategy
    budget_flops: int
    data: DataSpec
    seed: int
    precision: Precision

    @property
    def key(self) -> str:
        """The content key of the run."""
        fields = {field.name: canonical_text(getattr(self, field.name)) for field in dataclasses.fields(self)}
        return text_digest(object_text({"recipe": canonical_text(RECIPE_VERSION), "run": object_text(fields)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class StageNode:
    """A state of training that the ledger can hold: stage `stage` of a run, trained to `until_flops`.

    Its key covers the end of the previous stage (`parent`), what trains on which data, and the position reached. It
    does not cover `start`, the earlier position on the same trunk from which training continues, because every start
    gives the same weights, bit for bit. Runs and studies therefore share nodes by their keys, and a new budget between
    two old ones leaves their keys unchanged.

    `cooldown_from_flops` is None on the trunk, where the rate is constant. On a branch the rate falls from there to
    `until_flops`. `final`: this node ends a run, so that its key also covers dev and test sets and the scoring.
    """

    parent: str | None
    start: str | None = field(compare=False)
    start_flops: int = field(compare=False)
    model: ModelSpec
    stage: Stage
    data: DataSpec
    seed: int
    precision: Precision
    until_flops: int
    cooldown_from_flops: int | None
    final: bool

    @property
    def flops(self) -> int:
        """FLOPs from its start to its end."""
        return self.until_flops - self.start_flops

    @property
    def needs(self) -> list[str]:
        """Keys of the nodes that must be done first: the end of the previous stage, and the start."""
        return [key for key in (self.parent, self.start) if key is not None]

    @property
    def trunk(self) -> str:
        """What all positions of one constant-rate trunk have in common."""
        own = {"parent": canonical_text(self.parent), "seed": canonical_text(self.seed)}
        return text_digest(object_text(_trunk_texts(self.model, self.stage, self.data, self.precision) | own))

    @property
    def key(self) -> str:
        """The content key of the state this node reaches."""
        return self.key_on(self.trunk)

    def key_on(self, trunk: str) -> str:
        """`key`, where the caller has `self.trunk` already: a plan of thousands of runs hashes each trunk once."""
        scoring = () if self.data.scoring is Scoring.PLAIN else (self.data.scoring,)
        fields = {
            "cooldown_from_flops": self.cooldown_from_flops,
            "evaluate": (self.data.dev, *self.data.test, *scoring) if self.final else None,
            "trunk": trunk,
            "until_flops": self.until_flops,
        }
        return text_digest(object_text({name: canonical_text(value) for name, value in fields.items()}))


def node_to_json(node: StageNode) -> dict[str, Any]:
    """All fields of a node, with labels and start, as plain JSON data."""
    return canonical(node, labels=True)  # type: ignore[no-any-return]


def node_from_json(value: dict[str, Any]) -> StageNode:
    """The inverse of `node_to_json`. Raises KeyError or TypeError where a field is missing or unknown."""

    def lora(entry: dict[str, Any]) -> LoraSpec:
        return LoraSpec(**{**entry, "targets": tuple(entry["targets"])})

    model, stage, data = value["model"], value["stage"], value["data"]
    return StageNode(
        **{
            **value,
            "model": ModelSpec(
                **{**model, "encoder_lora": lora(model["encoder_lora"]), "llm_lora": lora(model["llm_lora"])}
            ),
            "stage": Stage(
                **{
                    **stage,
                    "objective": Objective(stage["objective"]),
                    "trains": tuple((Part(part), rate) for part, rate in stage["trains"]),
                    "optimization": Optimization(**stage["optimization"]),
                }
            ),
            "data": DataSpec(
                **{
                    **data,
                    "test": tuple((name, content) for name, content in data["test"]),
                    "scoring": Scoring(data.get("scoring", Scoring.PLAIN)),
                    "augmentation": _augmentation(data.get("augmentation", {})),
                }
            ),
            "precision": Precision(value["precision"]),
        }
    )


def _augmentation(value: dict[str, Any]) -> Augmentation:
    tuples: dict[str, Any] = {name: tuple(entry) for name, entry in value.items() if isinstance(entry, list)}
    return Augmentation(**{**value, **tuples})


@functools.lru_cache(maxsize=4096)
def _trunk_texts(model: ModelSpec, stage: Stage, data: DataSpec, precision: Precision) -> dict[str, str]:
    """What a trunk's key digests beside its parent and its seed: how the stage trains, not for how long."""
    # The encoder's own objective never sees the LLM: such a stage is shared by every LLM. Nor does the LLM's objective
    # see a fresh CTC head.
    encoder_alone = {"encoder": model.encoder, "encoder_lora": model.encoder_lora}
    if model.ctc_letters:
        encoder_alone["ctc_letters"] = model.ctc_letters
    fields: dict[str, Any] = {
        "recipe": RECIPE_VERSION,
        "model": encoder_alone if stage.objective is Objective.ASR else dataclasses.replace(model, ctc_letters=""),
        "stage": {name: value for name, value in canonical(stage).items() if name not in ("share", "flops")},
        "train": data.train,
        "prompt": data.prompt,
        "language": data.language,
        "precision": precision,
    }
    if data.augmentation != NO_AUGMENTATION:
        fields["augmentation"] = data.augmentation
    return {name: canonical_json(canonical(value)) for name, value in fields.items()}
