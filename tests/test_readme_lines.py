"""The README's lines run as they are written, on the published study and on small files of the kinds that they name."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")

ELSEWHERE = {
    "run demo": "`make demo` runs it",
    "run results/demo/next.yaml": "`make demo` runs it",
    "plan demo": "`make demo` runs it: its corpus takes a minute",
    "run aishell1": "needs the corpus; tests/sweeps/study/test_corpus_studies.py plans it",
    "run study.yaml": "trains; tests/test_survival.py does",
    "tune": "trains; tests/sweeps/tuning does",
    "transcribe": "needs trained weights; tests/scaling/asr does",
    "export": "needs trained weights; tests/scaling/asr does",
    "track": "needs the ledger of a trained study; tests/sweeps/run/test_wandb_tracker.py does",
    "doctor": "measures the machine; tests/sweeps/test_doctor.py does",
    "gc": "needs a ledger; tests/sweeps/progress/test_retention.py does",
    "status": "needs a ledger; tests/sweeps/progress/test_status.py does",
}
"""Lines that are run elsewhere, by their beginning."""

STANDS_FOR = {
    "run simulated --simulate --out DIR": {"DIR": "results/simulated"},
    "merge seed0 seed1 --out DIR": {
        "seed0": "results/demo", "seed1": "results/demo/forecast", "DIR": "results/merged",
    },
    "": {"DIR": "results/demo", "TABLE": "sizes.csv", "HYP": "hyp.txt", "REF": "ref.txt", "CORPUS": "corpus",
         "CODE": "narrow_range", "OUT": "page"},
}  # fmt: skip


def lines() -> list[str]:
    """Every command of the README: those of its blocks, and those between backticks."""
    blocks = re.findall(r"```(?:sh|text)\n(.*?)```", README, re.DOTALL)
    in_blocks = re.findall(r"^(?:\$ )?asr-scaling ([^#\n]+)", "\n".join(blocks), re.MULTILINE)
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    every = in_blocks + re.findall(r"`asr-scaling ([^`]+)`", prose)
    return [line for line in dict.fromkeys(line.strip() for line in every) if not line.startswith(tuple(ELSEWHERE))]


LONG = {
    "coverage": "tests/analysis/test_answers.py asks it of a small study",
    "forecast DIR --register": "tests/analysis/registering registers for small studies",
    "report results/demo": "`report results.csv` writes a page, too",
    "report DIR": "`report results.csv` writes a page, too",
}
"""Lines that take five seconds and more, by their beginning, and what stays among the tests of every day."""


def marked(line: str) -> object:
    return pytest.param(line, id=line, marks=[pytest.mark.slow] if line.startswith(tuple(LONG)) else [])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what the lines name."""
    here = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "results" / "quickstart", here / "results" / "demo")
    shutil.copy(ROOT / "sweeps" / "studies" / "simulated.yaml", here / "study.yaml")
    (here / "results.csv").write_text(re.findall(r"cat > results.csv <<'END'\n(.*?)END\n", README, re.DOTALL)[0])
    sizes = [
        f"{n!r},{c / 6 / n!r},{c!r},{1.8 + 480 * n**-0.35 + 2085 * (c / 6 / n) ** -0.37!r}"
        for c in (1e18, 1e19, 1e20)
        for n in (np.geomspace(0.2, 5, 7) * (c / 1e18) ** 0.5 * 1e8).tolist()
    ]
    for name in ("runs.csv", "sizes.csv"):
        (here / name).write_text("\n".join(["params,tokens,flops,loss", *sizes]) + "\n")
    (here / "hyp.txt").write_text("a it costs fifteen\nb minus five\n")
    (here / "ref.txt").write_text("a it costs fifty\nb minus five\n")
    rng = np.random.default_rng(0)
    for name, count in {"train": 800, "dev": 4, "test": 4}.items():
        (here / "corpus" / name).mkdir(parents=True)
        manifest = []
        for number in range(count):
            soundfile.write(here / "corpus" / name / f"{number}.wav", 0.1 * rng.standard_normal(32_000), 16_000)
            manifest.append({"audio_filepath": f"{name}/{number}.wav", "text": "some words"})
        (here / "corpus" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in manifest))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        yield here


@pytest.mark.parametrize("line", [marked(line) for line in lines()])
def test_a_line_of_the_readme_runs_as_it_is_written(line, folder, asr_scaling):
    names = STANDS_FOR.get(line, STANDS_FOR[""])
    found = asr_scaling(*(names.get(word, word) for word in shlex.split(line)))
    assert found.returncode == 0, found.stderr
    assert found.stdout


def test_lines_that_are_run_elsewhere_or_seldom_are_in_the_readme():
    for beginning in (*ELSEWHERE, *LONG):
        assert f"asr-scaling {beginning}" in README, beginning


def test_the_example_table_is_answered_as_the_readme_says(folder, asr_scaling):
    answer = json.loads(asr_scaling("predict", "results.csv", "--flops", "5e19", "--json").stdout)
    low, high = answer["interval"]
    assert f"CER {answer['cer']:.4f} by `{answer['strategy']}`" in README
    assert f"between {low:.4f} and\n{high:.4f} with 90 %" in README
