"""One small corpus in each layout that is read, of the same few recordings."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
NUMBERS = range(4)
SECONDS = 0.1


def write_corpora(root: Path) -> None:
    """Fill `root`; `CORPORA` names what to read there."""
    _kaldi(root / "kaldi")
    _kaldi(root / "stretches", stretches=True)
    _shard(root / "shard.tar")
    _lhotse(root / "lhotse")
    _shar(root / "shar")
    _arrow(root / "arrow")
    _aishell(root / "data_aishell")
    _librispeech(root / "librispeech")
    _common_voice(root / "common_voice")
    _wenetspeech(root / "wenetspeech")


CORPORA = (
    "kaldi",
    "stretches",
    "shard.tar",
    "lhotse/cuts.jsonl",
    "lhotse/cuts.jsonl.gz",
    "lhotse/x_supervisions.jsonl",
    "shar",
    "arrow",
    "arrow/named.parquet",
    "data_aishell/wav/train",
    "librispeech/train",
    "common_voice/train.tsv",
    "wenetspeech/WenetSpeech.json",
    "wenetspeech/WenetSpeech.json#S",
)


def _wav(path: Path, seconds: float = SECONDS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(int(seconds * RATE)), RATE)
    return path


def _encoded() -> bytes:
    held = io.BytesIO()
    soundfile.write(held, np.zeros(int(SECONDS * RATE)), RATE, format="WAV")
    return held.getvalue()


def _lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _kaldi(folder: Path, *, stretches: bool = False) -> None:
    _lines(folder / "text", [f"u{n} 文字 {n}" for n in NUMBERS])
    _lines(folder / "utt2spk", [f"u{n} s{n % 2}" for n in NUMBERS])
    if stretches:
        _wav(folder / "long.wav", SECONDS * len(NUMBERS))
        _lines(folder / "wav.scp", ["rec long.wav"])
        _lines(folder / "segments", [f"u{n} rec {n * SECONDS:.2f} {(n + 1) * SECONDS:.2f}" for n in NUMBERS])
    else:
        _lines(folder / "wav.scp", [f"u{n} {_wav(folder / f'{n}.wav').name}" for n in NUMBERS])
        _lines(folder / "utt2dur", [f"u{n} {SECONDS}" for n in NUMBERS])


def _shard(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as out:
        for n in NUMBERS:
            for suffix, content in (("wav", _encoded()), ("txt", "文字".encode())):
                member = tarfile.TarInfo(f"{n}.{suffix}")
                member.size = len(content)
                out.addfile(member, io.BytesIO(content))


def _recording(n: int) -> dict[str, object]:
    source = {"type": "file", "channels": [0], "source": f"{n}.wav"}
    frames = int(SECONDS * RATE)
    return {"id": f"r{n}", "sources": [source], "sampling_rate": RATE, "num_samples": frames, "duration": SECONDS}


def _cut(n: int) -> dict[str, object]:
    speech = {"id": f"u{n}", "recording_id": f"r{n}", "start": 0.0, "duration": SECONDS, "text": "文字", "speaker": "s"}
    common = {"id": f"u{n}", "start": 0.0, "duration": SECONDS, "channel": 0, "type": "MonoCut"}
    return {**common, "supervisions": [speech], "recording": _recording(n)}


def _lhotse(folder: Path) -> None:
    for n in NUMBERS:
        _wav(folder / f"{n}.wav")
    cuts = [_cut(n) for n in NUMBERS]
    _lines(folder / "cuts.jsonl", [json.dumps(cut) for cut in cuts])
    (folder / "cuts.jsonl.gz").write_bytes(gzip.compress((folder / "cuts.jsonl").read_bytes()))
    _lines(folder / "x_recordings.jsonl", [json.dumps(_recording(n)) for n in NUMBERS])
    _lines(folder / "x_supervisions.jsonl", [json.dumps(cut["supervisions"][0]) for cut in cuts])


def _shar(folder: Path) -> None:
    _lines(folder / "cuts.000000.jsonl", [json.dumps(_cut(n)) for n in NUMBERS])
    with tarfile.open(folder / "recording.000000.tar", "w") as out:
        for n in NUMBERS:
            member = tarfile.TarInfo(f"u{n}.wav")
            member.size = len(_encoded())
            out.addfile(member, io.BytesIO(_encoded()))


def _arrow(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    audio = pa.array([{"bytes": _encoded(), "path": f"{n}.wav"} for n in NUMBERS])
    table = pa.table({"audio": audio, "text": ["文字"] * len(NUMBERS), "speaker": ["s"] * len(NUMBERS)})
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as out,
    ):
        out.write_table(table)
    (folder / "dataset_info.json").write_text("{}")
    names = [_wav(folder / f"{n}.wav").name for n in NUMBERS]
    pq.write_table(pa.table({"audio": names, "text": ["文字"] * len(names)}), folder / "named.parquet")


def _aishell(root: Path) -> None:
    names = [f"BAC009S000{n % 2}W{n:04d}" for n in NUMBERS]
    for n, name in enumerate(names):
        _wav(root / "wav" / "train" / f"S000{n % 2}" / f"{name}.wav")
    _lines(root / "transcript" / "aishell_transcript_v0.8.txt", [f"{name} 文 字" for name in names])


def _librispeech(root: Path) -> None:
    chapter = root / "train" / "19" / "198"
    for n in NUMBERS:
        _wav(chapter / f"19-198-{n:04d}.flac")
    _lines(chapter / "19-198.trans.txt", [f"19-198-{n:04d} GOOD MORNING" for n in NUMBERS])


def _common_voice(root: Path) -> None:
    for n in NUMBERS:
        _wav(root / "clips" / f"clip_{n}.wav")
    lines = [f"s{n % 2}\tclip_{n}.wav\t{n}\tgood morning\t2" for n in NUMBERS]
    _lines(root / "train.tsv", ["client_id\tpath\tsentence_id\tsentence\tup_votes", *lines])


def _wenetspeech(root: Path) -> None:
    _wav(root / "audio" / "Y1.flac", SECONDS * len(NUMBERS))
    segments = [
        {"sid": f"Y1_{n}", "begin_time": n * SECONDS, "end_time": (n + 1) * SECONDS, "subsets": ["S"], "text": "文字"}
        for n in NUMBERS
    ]
    audios = [{"aid": "Y1", "duration": 1, "path": "audio/Y1.flac", "segments": segments}]
    (root / "WenetSpeech.json").write_text(json.dumps({"dataset": "WenetSpeech", "audios": audios}, indent=1))
