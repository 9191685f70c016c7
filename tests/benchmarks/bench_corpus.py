"""Five million rows, ten thousand hours: opened, checked, capped and started, cold and from the cache.

The manifest is written for the occasion: 5 million Mandarin lines that share 256 short recordings, durations told.
Each measurement is a process of its own: wall and processor seconds, and its peak memory. "Started" means that the
manifest is read and checked, hours are capped, target tokens of both minis are counted, the order of the first epoch
is drawn, and the first batch is decoded.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from record import machine, write

ROWS = 5_000_000
RECORDINGS = 256
CHARACTERS = np.array(list("这是一个用来测试读取速度的句子零二三四五六七八九上海北京天气今明有没好不我你他们说话"))
STARTED = """
import json, resource, sys, time
from pathlib import Path
from scaling.speech.audio import read_clip
from scaling.speech.lengths import manifest_lengths
from scaling.speech.manifest import read_manifest
from scaling.speech.batches import Position, BatchStream
began, used = time.perf_counter(), time.process_time()
path, hours, minis = Path(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
manifest = read_manifest(path).within(hours)
opened = time.perf_counter() - began
lengths = manifest_lengths(manifest, encoder=minis / "encoders" / "mini-s", llm=minis / "llms" / "mini-s")
stream = BatchStream(samples=lengths.samples, seed=0, batch_audio_seconds=160.0)
batch, _ = next(stream.batches(Position(0, 0)))
heard = sum(len(read_clip(manifest.audio[row])) for row in batch.tolist())
print(json.dumps({
    "utterances": len(manifest), "hours": round(manifest.hours, 3), "first_batch_samples": heard,
    "opened_seconds": opened, "started_seconds": time.perf_counter() - began,
    "processor_seconds": time.process_time() - used,
    "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
}))
"""


def main() -> None:
    """Measure and write the record."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = made(Path(folder))
        report = {"machine": machine(), "rows": ROWS, "manifest_megabytes": manifest.stat().st_size / 1e6}
        for hours in (1000, None):
            cache = {**os.environ, "ASR_SCALING_CACHE": str(Path(folder) / f"cache-{hours}")}
            report |= {f"{state}_{hours or 'all'}_hours": started(manifest, hours, cache) for state in ("cold", "warm")}
    write("corpus", report)


def made(folder: Path) -> Path:
    """A manifest of ROWS lines, and the recordings that it names."""
    rng = np.random.default_rng(0)
    seconds = np.clip(rng.lognormal(1.9, 0.4, RECORDINGS), 1, 20).round(2)
    (folder / "audio").mkdir()
    for number, length in enumerate(seconds):
        soundfile.write(folder / "audio" / f"{number}.flac", np.zeros(round(length * 16_000)), 16_000)
    path = folder / "train.jsonl"
    with path.open("w", encoding="utf-8") as out:
        for first in range(0, ROWS, 10_000):
            texts = CHARACTERS[rng.integers(0, len(CHARACTERS), (10_000, 25))]
            lengths = rng.integers(8, 26, 10_000)
            out.writelines(
                f'{{"audio_filepath": "audio/{row % RECORDINGS}.flac", "duration": {seconds[row % RECORDINGS]},'
                f' "text": "{"".join(text[:length])}", "speaker": "S{row // 300:05d}", "id": "utterance-{row:08d}"}}\n'
                for row, text, length in zip(range(first, first + 10_000), texts, lengths, strict=True)
            )
    return path


def started(manifest: Path, hours: int | None, environment: dict[str, str]) -> dict[str, float]:
    """What one process measured."""
    minis = Path(__file__).parents[2] / "scaling" / "minis"
    command = [sys.executable, "-c", STARTED, str(manifest), json.dumps(hours), str(minis)]
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    print(done.stdout.decode(), flush=True)  # noqa: T201
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
