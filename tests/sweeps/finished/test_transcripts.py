"""What `transcribe` prints: a line for each recording, whatever its id or its text holds."""

from pathlib import Path

from scaling.speech.audio import Clip
from scaling.speech.recordings import Recording
from sweeps.finished.transcribe_export import RecordingTranscript, transcripts_text


def transcript(name: str, *texts: str) -> RecordingTranscript:
    clip = Clip(path=Path("a.wav"))
    recording = Recording(id=name, clip=clip, text=None, samples=1, segments=(clip,) * len(texts))
    return RecordingTranscript(recording=recording, texts=texts, score=None)


def test_a_line_stays_a_line_of_two_columns_and_steers_no_terminal() -> None:
    spoken = [
        transcript("a", "one\ntwo\tthree", "four"),
        transcript("b\nforged\tline", "\x1b[2Jfive\u2028six\r\n"),
        transcript("c", "你好\u3000世界"),
    ]
    assert transcripts_text(spoken).split("\n") == [
        "a\tone two three four",
        "b\\nforged\\tline\t\\u001b[2Jfive six",
        "c\t你好\u3000世界",
    ]
