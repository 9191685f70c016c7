"""What programs tell each other about nodes and runs: the result of a node, a failure, an event, the row of a run.

Each record is a type. It is checked where it is read, because any trainer may have written a result and anybody a
table, and where it is made, because a result is written once. Fields that a record does not name are kept as they are.
`None` in a field that may be left out means that the writer did not know the value.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from scaling.ledger.hearing import Hearing
from scaling.ledger.record import Amount, Count, Finite, Flops, InnerPath, Name, Positive, PositiveNumber, Record

RUNS_FILE = "runs.jsonl"
"""The table of a study's runs in the folder of the study, a row each."""

RUN_SCHEMA = "asr-scaling/run-1"
"""Format of a run in `plan.json` and of a row of `runs.jsonl`."""


def is_usable(row: Mapping[str, object]) -> bool:
    """Whether a run counts as a result: its status is "ok", or its table has no status."""
    return row.get("status") in ("ok", None, "")


class Scores(Record):
    """The error rates of one set of utterances, and the counts that they are made of."""

    cer: Amount
    """Character error rate: `errors / ref_chars`."""
    wer: Amount | None = None
    """Word error rate: `word_errors / ref_words`."""
    errors: Count
    """Characters substituted, deleted and inserted."""
    ref_chars: PositiveNumber
    """Characters of the references after normalisation."""
    word_errors: Count | None = None
    """Words substituted, deleted and inserted."""
    ref_words: Count | None = None
    """Words of the references after normalisation."""
    n_utterances: Count
    """Utterances in the set."""
    scoring_version: Count | None = None
    """Version of the scoring (`scaling.scoring.score.VERSIONS`); absent: the first."""


class Spent(Record):
    """What one piece of training took."""

    flops: Flops
    """FLOPs charged: model FLOPs at the real lengths of audio and text."""
    executed_flops: Flops
    """FLOPs that ran, padding included."""
    seconds: Amount
    """Wall time of training, in seconds."""


class NodeResult(Record):
    """`result.json`: what came of a node. Counts are of the node's stage from its beginning, as if trained alone."""

    status: str
    """`"ok"`."""
    flops: Flops
    """FLOPs charged to the stage: model FLOPs at the real lengths of audio and text."""
    executed_flops: Flops
    """FLOPs that ran, padding included."""
    cache_credited_flops: Flops | None = None
    """FLOPs that ran when each output of a frozen encoder is counted once."""
    steps: Count
    """Optimizer steps."""
    audio_seconds: Amount
    """Seconds of audio trained on, each time it was seen."""
    seconds: Amount
    """Wall time of training, in seconds."""
    wait_seconds: Amount | None = None
    """Part of `seconds` in which training waited for audio."""
    unique_audio_seconds: Amount
    """Seconds of audio seen at least once since the run's first stage began."""
    spent: Spent
    """What this node alone took: `flops`, `executed_flops` and `seconds`."""
    loss: float | None
    """Training loss of the last step; null where it is not known."""
    checkpoint: InnerPath | None
    """Folder of the final checkpoint inside the node's folder, such as `attempts/0001/final`; null: there is none."""
    utterances: InnerPath | None
    """File inside the node's folder with a line for each test utterance; null: there is none."""
    look_seconds: Amount | None = None
    """Seconds spent on looks at dev during training; estimates of the time that is left use it."""
    evaluation_seconds: Amount | None = None
    """Seconds spent on decoding dev and test sets at the end; estimates of time use it."""
    dev: Scores | None
    """Scores on dev where the node is `final`, else null."""
    test: dict[str, Scores] | None
    """Scores on each test set by its name where the node is `final`, else null."""
    max_tokens_per_second: Positive | None = None
    """Tokens that a hypothesis may hold for each second of audio beside the first ten; null: 15."""
    hearing: Hearing | None = None
    """Whether the LLM hears the speech at the end of a node that is `final`; null where it was not measured."""
    hearing_looks: list[Hearing] | None = None
    """Hearing during the stage from its beginning, by rising FLOPs; null where the trainer does not look."""
    provenance: Any
    """What the trainer wants to remember: versions, device."""
    attempt: Count | None = None
    """Number of the attempt that committed the result; the ledger fills it in."""
    finished: Amount | None = None
    """When the result was committed, in seconds since 1970; the ledger fills it in."""


class Failure(Record):
    """`failure.json` of an attempt: it ended without a result."""

    kind: Literal["error", "diverged", "memory"]
    """`error`: the next invocation tries again. `diverged`: nobody tries again unless told to. `memory`: the node is
    tried again at once, in smaller pieces."""
    cause: str
    """What happened, in words."""
    session: str
    """The invocation that the worker belonged to."""


class Event(Record):
    """A line of an attempt's `events.jsonl`: how the attempt goes. Results do not depend on events.

    `start`, `progress`, `dev` (a look at dev during training is over), `hearing` (it was measured) and `evaluating` (a
    set is being decoded) are read by `status`, the progress line and the tracker. Each gives the fields that it knows.
    """

    event: str
    """Kind of the event."""
    time: Amount = 0.0
    """When it happened, in seconds since 1970; the ledger fills it in."""
    flops: Flops = 0
    """Position of `start`, `progress`, `dev` and `hearing` in FLOPs charged to the stage."""
    executed_flops: Flops | None = None
    """FLOPs that ran since the stage began, padding included."""
    loss: float | None = None
    """Training loss of the last step."""
    cache_credited_flops: Flops | None = None
    """FLOPs that ran when each output of a frozen encoder is counted once."""
    steps: Count | None = None
    """Optimizer steps since the stage began."""
    audio_seconds: Amount | None = None
    """Seconds of audio trained on since the stage began."""
    seconds: Amount | None = None
    """Wall time of training since the stage began, in seconds."""
    wait_seconds: Amount | None = None
    """Part of `seconds` in which training waited for audio."""
    rate_factor: float | None = None
    """Share of the peak learning rate that is in use."""
    cer: Amount | None = None
    """Character error rate of a look at dev."""
    hearing: Hearing | None = None
    """Hearing as measured last in the stage."""
    set: str = ""
    """Set that is being decoded: `dev`, or the name of a test set."""
    done: Count = 0
    """Utterances of the set that are decoded."""
    of: Count = 0
    """Utterances of the set."""
    stage: str | None = None
    """Name of the stage that starts."""
    resumed: bool | None = None
    """Whether the attempt goes on from the checkpoint of an earlier one."""
    cause: str | None = None
    """Why the attempt was left."""
    text: str | None = None
    """Traceback of an error."""


class RunStage(Record):
    """A stage of a run. Fields from `flops` on are in rows of finished runs alone."""

    name: str
    """Name of the stage in its strategy."""
    objective: str
    """`asr`: the encoder's own loss. `llm`: the LLM's loss on the transcript."""
    trains: dict[str, Amount]
    """Peak learning rate of each part that is trained."""
    batch_audio_seconds: Positive | None = None
    """Seconds of audio in a batch; rows of early versions do not say."""
    node: Name
    """Key of the node that ends the stage."""
    flops: Flops | None = None
    """FLOPs charged to the stage."""
    executed_flops: Flops | None = None
    """FLOPs that ran, padding included."""
    steps: Count | None = None
    """Optimizer steps."""
    audio_seconds: Amount | None = None
    """Seconds of audio trained on, each time it was seen."""
    seconds: Amount | None = None
    """Wall time of training, in seconds."""
    cache_credited_flops: Flops | None = None
    """FLOPs that ran when each output of a frozen encoder is counted once."""
    loss: float | None = None
    """Training loss of the last step."""


class RunDescription(Record):
    """What is known about a run before it is trained: an entry of `runs` in `plan.json`."""

    format: str | None = Field(default=None, alias="schema")
    """Name and version of the format: `asr-scaling/run-1`."""
    key: Name
    """Identity of the run: a hash of all that decides its result."""
    study: str
    """Name of the study."""
    strategy: str
    """Name of the training strategy."""
    budget_flops: PositiveNumber
    """Training FLOPs that the run was planned with."""
    seed: Count
    """Seed of initial weights and of the order of batches."""
    precision: str | None = None
    """`fp32` or `bf16`."""
    stages: list[RunStage]
    """The stages in their order."""
    cluster: str | None = None
    """Runs of one cluster share the beginning of their first stage, so their errors are correlated."""
    nodes: list[Name]
    """Keys of all nodes that the run passes through, in order."""
    encoder: str
    """Name of the encoder."""
    llm: str
    """Name of the LLM."""
    pretrain_flops: Flops | None = None
    """FLOPs that the pretraining of encoder and LLM took; null where it is not known."""
    encoder_params: Count | None = None
    """Parameters of the encoder."""
    asr_decoder_params: Count | None = None
    """Parameters of the decoder that the encoder is trained with."""
    llm_params: Count | None = None
    """Parameters of the LLM."""
    train_hours: Positive
    """Hours of audio in the training set."""
    test_digest: str | None = None
    """Runs with the same digest were tested on the same utterances under the same scoring, in the same version of
    it."""
    scoring: str | None = None
    """The normalisation of texts before errors are counted."""
    flop_convention: str | None = None
    """Version of the rule by which FLOPs are charged."""
    tuning_flops: Flops | None = None
    """FLOPs of the search that found the strategy's settings."""
    lr_at_grid_edge: bool | None = None
    """Whether a tuned learning rate lies at the edge of what was searched."""
    batch_at_grid_edge: bool | None = None
    """Whether the tuned batch lies at the edge of what was searched."""


class RunRow(RunDescription):
    """A line of `runs.jsonl`: a finished run, or one that diverged.

    FLOPs, audio and time are sums over the run's stages: shared nodes count in every run that passes through them.
    """

    status: str
    """`ok` or `diverged`."""
    flops: Flops | None = None
    """FLOPs charged to the run."""
    executed_flops: Flops | None = None
    """FLOPs that ran, as if no output were kept and reused; padding included."""
    cache_credited_flops: Flops | None = None
    """FLOPs that ran when each output of a frozen encoder is counted once; null where a stage does not say."""
    audio_seconds: Amount | None = None
    """Seconds of audio trained on, each time it was seen."""
    unique_audio_seconds: Amount | None = None
    """Seconds of audio seen at least once."""
    epochs: Amount | None = None
    """`audio_seconds` over the seconds of the training set."""
    seconds: Amount | None = None
    """Wall time of training, in seconds."""
    cer: Amount | None
    """Character error rate over the utterances of all test sets together; null where the run diverged."""
    wer: Amount | None = None
    """Word error rate over all test sets together; left out where a set does not count words."""
    dev_cer: Amount | None
    """Character error rate on dev; null where the run diverged."""
    errors: Count | None = None
    """Character errors in all test sets together."""
    ref_chars: PositiveNumber | None = None
    """Characters of the references of all test sets together."""
    word_errors: Count | None = None
    """Word errors in all test sets together."""
    ref_words: Count | None = None
    """Words of the references of all test sets together."""
    n_utterances: Count | None = None
    """Utterances of all test sets together."""
    scoring_version: Count | None = None
    """Version of the scoring; absent: the first."""
    test: dict[str, Scores] | None = None
    """Scores on each test set by its name."""
    hearing_nats: Finite | None = None
    """Gain of the right speech over another utterance's in nats a target token of dev, at the end of the run
    (`scaling.ledger.hearing`); null where it was not measured."""
    hearing_low: Finite | None = None
    """Lower end of its 90 % interval; null where fewer than two speakers or utterances were heard."""
    hearing_high: Finite | None = None
    """Upper end of its 90 % interval."""
    hearing_resampled: str | None = None
    """What the interval is taken over: `speakers` or `utterances` of dev."""
    hears: bool | None = None
    """Whether `hearing_low` lies above `HEARS_ABOVE_NATS`: false marks a run that does not hear yet, null one of which
    nobody knows."""
    hearing_onset_flops: Flops | None = None
    """FLOPs charged to the run at its first look from which on it hears; null where it does not hear at its end."""
    deaf_flops: Flops | None = None
    """FLOPs charged to the run at its last look that did not hear; null where there was none. The onset lies between
    these and `hearing_onset_flops`."""
    spent: Spent | None = None
    """What the run's nodes took, each counted once."""
    finished: Amount | None = None
    """When the result of the run's last node was committed, in seconds since 1970; null where nobody wrote it down."""
    provenance: Any = None
    """What the trainer said about the last node: versions, device."""
    diverged_node: Name | None = None
    """Key of the node that diverged."""
    cause: str | None = None
    """Why it diverged."""
