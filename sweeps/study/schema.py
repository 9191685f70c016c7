"""The fields a study file may have: the only mapping in the project, checked here and nowhere else."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictBool, StrictInt, StrictStr, Tag

from scaling.spec import Objective, Part, Precision, Scoring
from scaling.speech.manifest import MAX_BAD_SHARE
from scaling.speech.synthetic.recipes import HELD_OUT_UTTERANCES

Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Flops = Annotated[float, Field(strict=True, gt=0, le=1e32, allow_inf_nan=False)]
"""Up to what all computers on Earth do in a century (assumption: 1e22 FLOP/s)."""
Hours = Annotated[float, Field(strict=True, gt=0, le=1e7)]
"""Hours of speech; more than a thousand years are taken to be a typing error."""
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
"""A count of threads, ranks or frames; more than a million are taken to be a typing error."""
Share = Annotated[float, Field(strict=True, gt=0, le=1)]
Rate = Annotated[float, Field(strict=True, gt=0, lt=1)]
NAME = r"^[^\s/\\\x00-\x1f\x7f-\x9f\u061c\u180e\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb]+$"
"""Nothing blank, no slash, and nothing that steers a terminal (`scaling.system.console`)."""
Name = Annotated[StrictStr, Field(min_length=1, max_length=100, pattern=NAME)]
"""A name becomes part of file names and of reports, so it has no blanks and no slashes."""


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class LoraFields(_Fields):
    """Low-rank adapters. Rank 8 and alpha 16 on every linear layer learnt well on the minis (LOG.md)."""

    rank: Count = 8
    """Width of the two matrices of an adapter."""
    alpha: Positive = 16.0
    """An adapter's output is multiplied by alpha / rank."""
    targets: tuple[StrictStr, ...] | None = Field(default=None, min_length=1)
    """Names of the layers that get an adapter, such as q_proj; default: every linear layer."""


class TunedFields(_Fields):
    """What `asr-scaling tune` found for a strategy on a model; see `sweeps.study.tuned_settings.TunedSettings`."""

    rates: dict[StrictStr, dict[Part, Rate]]
    """Peak rates of the parts, by stage."""
    batch_audio_seconds: Positive | None = None
    """Batch that replaces the study's."""
    at_flops: Positive
    """Budget that the settings were found at."""
    drift: dict[Part | Literal["batch_audio_seconds"], Annotated[float, Field(strict=True, allow_inf_nan=False)]] = {}
    """Powers of budget / at_flops by which rates and batch change with the budget."""
    tuning_flops: Positive
    """What the search cost."""
    at_edge: tuple[StrictStr, ...] = ()
    """Settings that were found at the edge of what was searched."""


class ModelFields(_Fields):
    """An encoder and an LLM: shipped rows, hub names, or Hugging Face directories."""

    encoder: StrictStr
    """Such as whisper-small, openai/whisper-small@REVISION, or a folder; paths start at the study's folder."""
    llm: StrictStr
    """Such as Qwen2.5-0.5B, Qwen/Qwen2.5-0.5B-Instruct, or a folder."""
    lr_scale: Positive = 1.0
    """Multiplies every peak rate of this model."""
    stack: Count | None = None
    """Encoder frames that the projector joins into a speech token; default: 12.5 tokens a second."""
    hidden: Count | None = None
    """Width inside the projector; default: the LLM's."""
    llm_lora: LoraFields = LoraFields()
    """Adapters of the LLM, in stages that train llm_lora."""
    encoder_lora: LoraFields = LoraFields()
    """Adapters of the encoder, in stages that train encoder_lora."""
    tuned: dict[StrictStr, TunedFields] = {}
    """By strategy: rates that replace those of the rule and of `rates`, and are not multiplied by `lr_scale`, and a
    batch that replaces the study's."""


def _mapping_or_not(value: Any) -> str:
    return "<mapping>" if isinstance(value, dict) else "<plain>"


StageRates = Annotated[
    Annotated[dict[StrictStr, Rate], Tag("<mapping>")] | Annotated[Rate, Tag("<plain>")],
    Discriminator(_mapping_or_not),
]
"""A part's rate, or the rates of a stage's parts."""

TrainedParts = Annotated[
    Annotated[dict[Part, Rate], Field(min_length=1), Tag("<mapping>")]
    | Annotated[tuple[Part, ...], Field(min_length=1), Tag("<plain>")],
    Discriminator(_mapping_or_not),
]
"""Parts with rates, or parts alone."""


class PresetFields(_Fields):
    """A preset with other shares or rates, under a name of its own."""

    preset: StrictStr
    """Name of the preset."""
    name: Name | None = None
    """Name in results; default: the preset's."""
    shares: tuple[Share, ...] | None = None
    """Shares of the budget, one for each stage of the preset; they sum to one."""
    rates: dict[StrictStr, StageRates] = {}
    """By stage: a peak rate for all its parts, or rates by part."""


class StageFields(_Fields):
    """One stage of a strategy written out; parts given as a list get the default rates."""

    name: Name
    """Name of the stage in results."""
    objective: Objective
    """asr: the encoder's own loss; llm: the next token through projector and LLM."""
    trains: TrainedParts
    """Parts that are trained, with peak rates ({projector: 1e-3}) or by default rates ([projector, llm_lora])."""
    share: Share | None = None
    """Share of the run's budget."""
    flops: Flops | None = None
    """An amount in place of a share: stages of equal amounts are trained once for all budgets."""


class StagesFields(_Fields):
    """A strategy of the user's own."""

    name: Name
    """Name in results."""
    stages: tuple[StageFields, ...] = Field(min_length=1)
    """Stages in the order in which they are trained."""


class LengthFields(_Fields):
    """Assumed lengths of a corpus; see `scaling.speech.assumed_manifest`."""

    hours: Hours
    """Hours of speech."""
    mean_seconds: Annotated[float, Field(strict=True, gt=0, le=3600)]
    """Mean length of an utterance."""
    spread: Annotated[float, Field(strict=True, gt=0, le=10)]
    """Standard deviation of the logarithm of the lengths."""
    characters_per_second: Annotated[float, Field(strict=True, gt=0, le=1000)]
    """Characters of text in a second of speech."""


class AssumedFields(_Fields):
    """Speech that is not at hand: enough to plan and price a study, not to run it."""

    assumed: LengthFields
    """Lengths in place of a corpus."""


SpeechSource = Annotated[
    Annotated[AssumedFields, Tag("<mapping>")] | Annotated[StrictStr, Tag("<plain>")], Discriminator(_mapping_or_not)
]
"""A manifest's path, or what is assumed in its place."""


class ManifestFields(_Fields):
    """Corpora of real speech, in any layout of `scaling.speech.readers`. Files of a pattern such as
    `train-*` are read in order.
    """

    root: StrictStr | None = None
    """Where relative paths of the corpora start; default: the study's folder."""
    train: SpeechSource
    """Corpus that is trained on."""
    dev: SpeechSource
    """Corpus on which choices are made, such as rates."""
    test: dict[Name, SpeechSource] = Field(min_length=1)
    """Corpora on which errors are measured, by name; the error of a run is that of all together."""
    max_bad_share: Annotated[float, Field(strict=True, ge=0, le=1)] = MAX_BAD_SHARE
    """The share of rows that may be unusable before a corpus is refused."""
    mix_channels: StrictBool = False
    """Whether a recording of several channels of which its row names none is heard as the mean of all."""


class CorpusFields(_Fields):
    """A corpus that is made on first use. `seed` fixes it, whatever the seeds of the runs."""

    corpus: StrictStr
    """synthetic-zh, synthetic-en, synthetic-zh-digits or synthetic-en-digits."""
    hours: Annotated[float, Field(strict=True, gt=0, le=10_000)]
    """Hours of training speech."""
    seed: Annotated[StrictInt, Field(ge=0)] = 0
    """Draws the utterances."""
    test_utterances: Annotated[StrictInt, Field(ge=1, le=100_000)] = HELD_OUT_UTTERANCES
    """Utterances of the test set: n errors are known to about n to the power of -1/2 by counting alone."""


class AugmentationFields(_Fields):
    """How training speech is varied; see `scaling.spec.Augmentation`."""

    speeds: tuple[Annotated[float, Field(strict=True, ge=0.5, le=2)], ...] = Field(default=(1.0,), min_length=1)
    """Copies of the corpus, so many times as fast: [0.9, 1.0, 1.1] is the usual choice."""
    noise_snr_db: tuple[Annotated[float, Field(ge=-10, le=80)], Annotated[float, Field(ge=-10, le=80)]] | None = None
    """White noise at a ratio drawn between these two."""
    masks: Annotated[StrictInt, Field(ge=0, le=10)] = 0
    """Bands and stretches that SpecAugment hides, of each so many; 2 is its own choice."""


class SlurmFields(_Fields):
    """What each worker asks of Slurm with `--on slurm`, in sbatch's own words; none of it enters a key."""

    partition: StrictStr | None = None
    """Partition that jobs are submitted to."""
    account: StrictStr | None = None
    """Account that jobs are charged to."""
    time: Annotated[StrictStr, Field(pattern=r"^[0-9:-]+$")] | None = None
    """A worker that reaches it saves a checkpoint and leaves, and another one is submitted."""
    nodes: Count = 1
    """Machines a worker, with `processes` on each."""
    gpus: Count | Annotated[StrictStr, Field(pattern=r"^\w[\w.-]*:[1-9][0-9]*$")] | None = None
    """Of each machine: a number, or a kind and a number: `a100:1`."""
    cpus: Count | None = None
    """Of each process; default: `threads`."""
    memory: Annotated[StrictStr, Field(pattern=r"^[0-9]+[KMGT]?$")] | None = None
    """Of each machine: 64G."""
    sbatch: tuple[Annotated[StrictStr, Field(pattern="^--?[a-z]")], ...] = ()
    """More options of sbatch: [--qos=low, --constraint=a100]."""


class RayFields(_Fields):
    """What each worker asks of Ray with `--on ray`; none of it enters a key."""

    address: StrictStr | None = None
    """Of a running cluster; default: $RAY_ADDRESS, a cluster that runs on this machine, or a new one."""
    gpus: Positive | None = None
    """GPUs of a worker; a part of one is allowed."""
    cpus: Count | None = None
    """CPUs of a worker. Default: `threads`."""


def _strategy_kind(value: Any) -> str:
    if isinstance(value, str):
        return "<name>"
    stages = "stages" in value if isinstance(value, dict) else isinstance(value, StagesFields)
    return "<stages>" if stages else "<preset>"


def _data_kind(value: Any) -> str:
    corpus = "corpus" in value if isinstance(value, dict) else isinstance(value, CorpusFields)
    return "<corpus>" if corpus else "<manifests>"


StrategyFields = Annotated[
    Annotated[StrictStr, Tag("<name>")]
    | Annotated[PresetFields, Tag("<preset>")]
    | Annotated[StagesFields, Tag("<stages>")],
    Discriminator(_strategy_kind),
]
DataFields = Annotated[
    Annotated[ManifestFields, Tag("<manifests>")] | Annotated[CorpusFields, Tag("<corpus>")], Discriminator(_data_kind)
]


class CacheFields(_Fields):
    """What a worker keeps of frozen encoders' outputs, in memory and, beyond that, in the cache folder.

    A GiB holds 1.2 hours of speech at Whisper-large's width in fp32, over 20 hours at the minis' (assumption: there is
    as much to spare).
    """

    memory_gib: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = 1.0
    """Most memory, in GiB."""
    disk_gib: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = 8.0
    """Most disk, in GiB."""


class StudyFields(_Fields):
    """A study as users write it. A field without a value here has a default that depends on the models."""

    name: Name
    """Name of the study in tables, reports and trackers."""
    budgets_flops: tuple[Flops, ...] = Field(min_length=1)
    """FLOPs charged to each run, of which there is one for each budget, model, strategy and seed. Four budgets over two
    decades show a law."""
    models: tuple[ModelFields, ...] = Field(min_length=1)
    """Pairs of an encoder and an LLM."""
    strategies: tuple[StrategyFields, ...] = Field(min_length=1)
    """What is compared: names of presets, changed presets, or strategies written out as stages."""
    seeds: tuple[Annotated[StrictInt, Field(ge=0)], ...] = Field(default=(0,), min_length=1)
    """Each seed repeats every run: initial projector and adapters, and the order of the audio."""
    data: DataFields
    """Speech: corpora of your own, or one that is made."""
    hours: Hours | None = None
    """Training audio is cut to the first so many hours of the manifest."""

    prompt: StrictStr = "{speech}"
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
