"""What a Whisper model loses when it hears speech at its own length instead of padded to 30 s.

    python tests/benchmarks/whisper_padding.py --checkpoint DIR ... --manifest FILE ... [--language en] [--limit 60]

Per checkpoint and manifest: CER and WER through this project's encoder path and evaluation (any length, padding
masked), and by transformers' own `generate` on its feature extractor's 30 s windows; greedy, the same prompt tokens,
text compared after the same normalisation (`scaling.scoring`, plain). Prints a Markdown table.
"""

import time
from pathlib import Path
from typing import Annotated

import torch
import transformers
import typer
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

from scaling.asr.evaluation.evaluate import evaluate
from scaling.asr.inputs.dataset import SpeechDataset
from scaling.asr.inputs.exact_audio import ExactAudio
from scaling.asr.inputs.model_inputs import ModelInputs
from scaling.asr.model.load_base import BaseModels
from scaling.asr.model.recognizer import Recognizer
from scaling.base_models.encoders import asr_codec
from scaling.base_models.tokenizers import TextCodec
from scaling.scoring.score import Score, score, total
from scaling.spec import SAMPLE_RATE, Objective
from scaling.speech.audio import read_clip
from scaling.speech.manifest import read_manifest

MAX_TOKENS = 200
"""More than anyone says in 30 s."""

Texts = list[str]


def main(
    checkpoint: Annotated[list[Path], typer.Option(help="Whisper model directories.")],
    manifest: Annotated[list[Path], typer.Option(help="Manifests of test speech.")],
    language: str = "en",
    limit: int = 60,
) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    typer.echo("| model | speech | utterances | input | CER | WER | s of computing |\n|---|---|---|---|---|---|---|")
    for directory in checkpoint:
        codec = asr_codec(directory, language)
        for path in manifest:
            speech = SpeechDataset.read(
                ExactAudio(manifest=read_manifest(path), is_training=False), directory, directory, (codec, codec)
            )
            for name, hear in {"own length": own_length, "30 s": thirty_seconds}.items():
                began = time.process_time()
                texts = hear(directory, codec, speech, min(limit, len(speech)))
                seconds = time.process_time() - began
                scored = _score([speech.manifest.texts[index] for index in range(len(texts))], texts)
                typer.echo(
                    f"| {directory.name} | {path.parent.name}/{path.stem} | {len(texts)} | {name} |"
                    f" {scored.chars.rate:.4f} | {scored.words.rate:.4f} | {seconds:.0f} |"
                )


def own_length(directory: Path, codec: TextCodec, speech: SpeechDataset, limit: int) -> Texts:
    """Transcripts of the project's evaluation."""
    model = Recognizer(BaseModels().encoder(directory), None, None, codec, None)
    return [row["hyp"] for row in evaluate(ModelInputs(model, speech), Objective.ASR, "test", limit=limit).rows]


@torch.no_grad()
def thirty_seconds(directory: Path, codec: TextCodec, speech: SpeechDataset, limit: int) -> Texts:
    """Transcripts of transformers, one utterance at a time in a window of 30 s."""
    model = WhisperForConditionalGeneration.from_pretrained(directory, local_files_only=True).eval()
    extractor = WhisperFeatureExtractor.from_pretrained(directory, local_files_only=True)
    prefix = torch.tensor([codec.prefix])
    texts = []
    for index in range(limit):
        audio = read_clip(speech.manifest.audio[index])
        features = extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features
        written = model.generate(features, decoder_input_ids=prefix, max_new_tokens=MAX_TOKENS, do_sample=False)
        texts.append(codec.decode(written[0].tolist()))
    return texts


def _score(references: Texts, texts: Texts) -> Score:
    return total(score(*pair) for pair in zip(references, texts, strict=True))


if __name__ == "__main__":
    typer.run(main)
