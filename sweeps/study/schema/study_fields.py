"""A whole study file."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr

from scaling.base_models.chat_template import checked_prompt
from scaling.spec import Precision, Scoring
from sweeps.study.schema.data_fields import AugmentationFields, DataFields
from sweeps.study.schema.field_types import Count, Fields, Flops, Hours, Name, Positive, each_once
from sweeps.study.schema.model_fields import ModelFields
from sweeps.study.schema.strategy_fields import StrategyFields
from sweeps.study.schema.worker_fields import CacheFields, RayFields, SlurmFields


class StudyFields(Fields):
    """A study as users write it. A field without a value here has a default that depends on the models."""

    name: Name
    """Name of the study in tables, reports and trackers."""
    budgets_flops: Annotated[tuple[Flops, ...], Field(min_length=1), AfterValidator(each_once)]
    """FLOPs charged to each run, of which there is one for each budget, model, strategy and seed. Four budgets over two
    decades show a law."""
    models: tuple[ModelFields, ...] = Field(min_length=1)
    """Pairs of an encoder and an LLM."""
    strategies: tuple[StrategyFields, ...] = Field(min_length=1)
    """What is compared: names of presets, changed presets, or strategies written out as stages."""
    seeds: Annotated[tuple[Annotated[StrictInt, Field(ge=0)], ...], Field(min_length=1), AfterValidator(each_once)] = (
        0,
    )
    """Each seed repeats every run: initial projector and adapters, and the order of the audio."""
    data: DataFields
    """Speech: corpora of your own, or one that is made."""
    hours: Hours | None = None
    """Training audio is cut to the first so many hours of the manifest."""

    prompt: Annotated[StrictStr, AfterValidator(checked_prompt)] = "{speech}"
    """Text around `{speech}`; nothing by default, because the minis and the projector need none.

    `chat`, or `chat: text with {speech}`, says it in the LLM's own chat template."""
    language: Annotated[StrictStr, Field(min_length=1)] | None = None
    """Language that is spoken, as Whisper's code (zh, en); where the corpus names its language, that is the default."""

    augmentation: AugmentationFields = AugmentationFields()
    """How training speech is varied; off by default."""

    scoring: Scoring = Scoring.PLAIN
    """How texts are compared: plain, whisper-english, whisper-basic, mandarin or wenet (`scaling.scoring`)."""

    tracker: Literal["wandb", "tensorboard", "none"] = "none"
    """Where runs are shown while they train; both are extras that not everybody has."""

    precision: Precision = Precision.FP32
    """fp32 or bf16. fp32 repeats bit for bit on CPUs and costs the minis little; GPUs are fast in bf16."""
    threads: Count = 1
    """CPU threads a worker: one repeats bit for bit, and N runs side by side beat one run on N threads."""
    processes: Count = 1
    """Processes a worker on each of its machines, a GPU each where there are any: the same run to rounding, in less
    time."""
    shard: StrictBool = False
    """Whether each process holds a share of the LLM: for one that does not fit a GPU."""
    gradient_accumulation: Count = 1
    """Pieces of each step's batch for a process, one after another: less memory, the same step to rounding."""
    gradient_checkpointing: StrictBool = False
    """Whether layers keep their inputs alone and run twice: less memory, up to half more executed FLOPs."""
    compile: StrictBool = False
    """Whether layers are compiled for training: less time a step, half a minute to begin with; needs a C++ compiler."""

    batch_audio_seconds: Positive | None = None
    """Seconds of audio in a step; default: 5 for LLMs of under 100 million parameters, 160 for others."""
    warmup_steps: Annotated[StrictInt, Field(ge=0)] = 20
    """Steps of a stage over which the rate rises. Adam's second moment (beta2 0.98) averages 50 steps; the minis'
    shortest stages have about 70 (LOG.md)."""
    cooldown: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.2
    """Share of a stage over which the rate falls: (1 - sqrt) over the last 10-20 % matches a full cosine (Hägele et
    al., arXiv:2405.18392)."""
    weight_decay: Annotated[float, Field(strict=True, ge=0)] = 0.01
    """Of AdamW; the default is its own."""
    betas: tuple[Annotated[float, Field(strict=True, ge=0, lt=1)], Annotated[float, Field(strict=True, ge=0, lt=1)]] = (
        0.9,
        0.98,
    )
    """Of AdamW, as in the first transformer (arXiv:1706.03762); 0.999 is slow for stages of a hundred steps."""
    clip_norm: Positive = 1.0
    """Longest gradient; the default is the usual bound for fine-tuning transformers."""

    checkpoint_seconds: Positive = 60.0
    """Seconds between checkpoints: work lost to a kill is at most this; a mini's checkpoint takes milliseconds."""

    disk_quota_gb: Positive | None = None
    """The ledger's most 10^9 bytes: over it, what `gc` would free is freed, else the run stops. None: no quota."""
    kept: CacheFields = CacheFields()
    """How much is kept of what frozen encoders heard."""

    slurm: SlurmFields = SlurmFields()
    """What each worker asks of Slurm."""
    ray: RayFields = RayFields()
    """What each worker asks of Ray."""
