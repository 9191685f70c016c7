"""Training and decoding speed on one CPU core: the trainer against the loop that public recipes run.

Audio-seconds a processor-second, the sides in turns, medians over the rounds. See `training_lab` for the model's shape
and for both sides; reading audio and features is part of both. `later` epochs are those for which the outputs of a
frozen encoder are kept. `compiled` is ours with `compile: true`, after an epoch in which it compiled. Writes
results/benchmarks/training.json; on a core whose products are no faster in bf16, which is left out there,
training_fp32.json.
"""

import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from record import machine, write
from training_lab import BATCH_AUDIO_SECONDS, Common, Lab, Ours
from transformers import WhisperFeatureExtractor

from scaling.asr.evaluation.decode import transcribe
from scaling.asr.evaluation.evaluation_in_training import Pacing
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.model.log_mel import LogMel
from scaling.spec import Objective, Precision
from scaling.speech.audio import Clip, read_clip
from scaling.speech.batches import BatchStream, Position

ROUNDS = 3
UTTERANCES = 160
COMMON_STEPS = 2
DECODED = 64
NEW_TOKENS = 20

RUN_SECONDS = 600.0
"""Training of the run whose looks at the dev set are counted."""

LOOK_UTTERANCES = 100


def main() -> None:
    """Measure and write the record."""
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    precisions = [Precision.FP32]
    if matmul_peak(torch.bfloat16) > matmul_peak(torch.float32):
        precisions.append(Precision.BF16)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ASR_SCALING_CACHE"] = folder
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        lab = Lab(Path(folder), UTTERANCES)
        report = {"machine": machine(), "torch": torch.__version__, "rounds": ROUNDS}
        report |= {"training": training(lab, precisions)}
        report |= {"padding_efficiency": padding_efficiency(), "log_mel": log_mel(lab), "decoding": decoding(lab)}
        report["looks"] = looks(report["decoding"]["encoding"]["batched_utterances_per_second"])
    write("training" if Precision.BF16 in precisions else "training_fp32", report)


def training(lab: Lab, precisions: Sequence[Precision]) -> dict[str, Any]:
    """Every stage and precision on both sides; ratios are to the common loop in fp32, in the same round."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(ROUNDS):
        for stage in lab.stages:
            common = rate(*Common(lab, stage, Precision.FP32).steps(COMMON_STEPS))
            for precision, compiled in product(precisions, (False, True)):
                entry = found[f"{stage}, {precision}{', compiled' * compiled}"]
                if compiled and not number:
                    entry["compiling_epoch_seconds"].append(Ours(lab, stage, precision, compiled=True).epoch())
                entry["common_fp32"].append(common)
                epochs(entry, Ours(lab, stage, precision, compiled=compiled), precision)
                if precision is not Precision.FP32 and not compiled:
                    entry[f"common_{precision}"].append(rate(*Common(lab, stage, precision).steps(COMMON_STEPS)))
        print(f"round {number + 1} of {ROUNDS}", flush=True)  # noqa: T201
    return {
        name: {field: statistics.median(values) for field, values in entry.items()} for name, entry in found.items()
    }


def epochs(entry: dict[str, list[float]], ours: Ours, precision: Precision) -> None:
    """Add a first epoch, and a later one where there is something to keep; ratios to the last of `common_fp32`."""
    common, fp32_peak, peak = entry["common_fp32"][-1], matmul_peak(torch.float32), matmul_peak(dtype_of(precision))
    first = ours.epoch()
    entry["first_epoch"].append(ours.audio_seconds / first)
    entry["first_epoch_ratio"].append(ours.audio_seconds / first / common)
    entry["useful_share_of_fp32_peak"].append(ours.epoch_flops / first / fp32_peak)
    entry["matmul_peak_flops_per_second"].append(peak)
    entry["wait_share"].append(ours.state.progress.wait_seconds / ours.state.progress.seconds)
    if ours.inputs.cache is not None:
        later = ours.epoch()
        entry["later_epochs"].append(ours.audio_seconds / later)
        entry["later_epochs_ratio"].append(ours.audio_seconds / later / common)


def padding_efficiency() -> float:
    """Real over padded audio of a few epochs' batches, on the bench's lengths."""
    seconds = np.clip(np.random.default_rng(1).lognormal(np.log(2.7), 0.5, 20_000), 1.0, 8.0)
    samples = (seconds * 16_000).astype(np.int64)
    stream, real, padded = BatchStream(samples, 0, BATCH_AUDIO_SECONDS), 0, 0
    for batch, after in stream.batches(Position(0, 0)):
        real += int(samples[batch].sum())
        padded += int(samples[batch].max()) * len(batch)
        if after.pool == stream.pools_per_epoch:
            break
    return real / padded


def log_mel(lab: Lab) -> dict[str, float]:
    """Features alone, from samples in memory."""
    waves = [read_clip(Clip(path=path)) for path in lab.audio[:64]]
    audio_seconds = sum(map(len, waves)) / 16_000
    ours, theirs = LogMel.from_directory(lab.folder / "encoder"), WhisperFeatureExtractor()

    def default() -> None:
        for first in range(0, len(waves), 16):
            theirs(waves[first : first + 16], sampling_rate=16_000, return_tensors="pt")

    rates = [
        (audio_seconds / seconds(lambda: [ours(wave) for wave in waves]), audio_seconds / seconds(default))
        for _ in range(ROUNDS)
    ]
    return {
        "ours": statistics.median(one for one, _ in rates),
        "default_extractor": statistics.median(other for _, other in rates),
        "ratio": statistics.median(one / other for one, other in rates),
    }


def decoding(lab: Lab) -> dict[str, Any]:
    """Greedy transcripts of some 3 s utterances through the LLM, of so many tokens each, by utterances a second.

    `batched` and `alone` are ours, all together and one by one: with the encoder's outputs kept, as at every look of a
    stage that leaves the encoder alone, and without. `generate` is the usual way: each utterance alone, its encoder on
    a window of 30 s, transformers' `generate`, the same weights and as many tokens. Features are there on both sides.
    """
    inputs = Ours(lab, "projector", Precision.FP32).inputs
    common = Common(lab, "projector", Precision.FP32)
    common.project_as(inputs.model.projector)
    chosen = np.argsort(abs(inputs.dataset.samples - 3 * 16_000))[:DECODED]
    groups = {"batched": [chosen], "alone": np.split(chosen, DECODED)}

    def decode(inputs: ModelInputs, together: str) -> float:
        def write() -> None:
            for group in groups[together]:
                batch = inputs.batch(inputs.read(group))
                transcribe(inputs.model.eval(), batch, Objective.LLM, [NEW_TOKENS] * len(group))

        return DECODED / seconds(write)

    windows = [common.features(index) for index in chosen]

    def generate() -> float:
        return DECODED / seconds(lambda: [common.generate(window, NEW_TOKENS) for window in windows])

    decode(inputs, "batched")  # features and encoder outputs are there from here on
    found: dict[str, Any] = {"utterances": DECODED, "new_tokens": NEW_TOKENS}
    found["generate_utterances_per_second"] = usual = statistics.median(generate() for _ in range(ROUNDS))
    for name, listener in {"encoding": ModelInputs(inputs.model, inputs.dataset), "kept": inputs}.items():
        rounds = [{together: decode(listener, together) for together in groups} for _ in range(ROUNDS)]
        found[name] = {f"{way}_utterances_per_second": statistics.median(one[way] for one in rounds) for way in groups}
        found[name]["ratio"] = statistics.median(one["batched"] / one["alone"] for one in rounds)
        found[name]["ratio_to_generate"] = found[name]["batched_utterances_per_second"] / usual
    return found


def looks(utterances_per_second: float) -> dict[str, float]:
    """Pacing at the dev set in ten minutes of training, each as long as its utterances took to decode above."""
    schedule, cost, trained = Pacing(), LOOK_UTTERANCES / utterances_per_second, 0.0
    while trained < RUN_SECONDS:
        if schedule.due(trained):
            schedule.record(cost)
        trained += 0.1
    return {"seconds_each": cost, "share_of_run": schedule.seconds / (schedule.seconds + trained)}


def matmul_peak(dtype: torch.dtype) -> float:
    """The best rate of five square products, in FLOPs a processor-second."""
    size = 1024
    square = torch.randn(size, size).to(dtype)
    return max(2 * size**3 / seconds(lambda: square @ square) for _ in range(5))


def dtype_of(precision: Precision) -> torch.dtype:
    return torch.bfloat16 if precision is Precision.BF16 else torch.float32


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds."""
    began = time.process_time()
    work()
    return time.process_time() - began


def rate(audio_seconds: float, processor_seconds: float) -> float:
    return audio_seconds / processor_seconds


if __name__ == "__main__":
    main()
