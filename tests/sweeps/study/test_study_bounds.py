"""Studies that nobody means: each is refused with a message within seconds, and in little memory."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scaling.errors import InputError
from sweeps.study.study import load_study

FIELDS: dict[str, Any] = {
    "name": "x",
    "budgets_flops": [1e11],
    "models": [{"encoder": "mini-s", "llm": "mini-s"}],
    "strategies": ["joint"],
    "data": {"corpus": "synthetic-zh-digits", "hours": 0.1},
}
ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
NAME_ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"? &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n: {n}\n" for n in range(1, 8)
)
MEGABYTES_500 = 500 * 2**20


def study(**fields: Any) -> str:
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in {**FIELDS, **fields}.items())


CASES = {
    "a field named like a form": (study() + '"<script>": 1\n', r":6: <script>: unknown field"),
    "one model again and again": (study(models=FIELDS["models"] * 3000), r":3: models.1: .* expected each model once"),
    "aliases in names of fields": (study() + NAME_ALIASES, r":7: a field's name is a list or fields; expected text"),
    "a number of many digits": (
        study() + f"threads: 0b{200_000 * '1'}\n",
        r"a number of 200002 digits; expected at most 400",
    ),
    "aliases": (study() + ALIASES, "over 50000 fields with those that aliases"),
    "a merge of nothing": (study() + "<<: 3\n", "not valid YAML: expected a mapping"),
    "no bool": (study() + "shard: !!bool abc\n", r":6: the tag !!bool does not fit; expected plain values"),
    "no int": (study() + "threads: !!int abc\n", "not valid YAML: invalid literal"),
    "no timestamp": (study() + "tracker: !!timestamp abc\n", "'abc' is not one of them"),
    "binary": (study() + "tracker: !!binary abc\n", "the tag !!binary does not fit"),
    "a set": (study() + "tracker: !!set {a, b}\n", "the tag !!set does not fit"),
    "hours": (
        study(data={"corpus": "synthetic-zh-digits", "hours": 1e300}),
        r"data.hours: 1e\+300; expected less than",
    ),
    "cut hours": (study(hours=1e300), r"hours: 1e\+300; expected less than"),
    "budget": (study(budgets_flops=[1e300]), r"budgets_flops.0: 1e\+300; expected less than"),
    "many budgets": (
        study(budgets_flops=[1e11 + n for n in range(100_000)]),
        r": 1\d+ bytes; expected at most 1000000",
    ),
    "many values": (study(seeds=list(range(30_000))), "too long; expected at most 1000000 characters and 20000"),
    "many runs": (
        study(budgets_flops=[1e11 + n for n in range(9000)], seeds=list(range(9))),
        "9000 x 1 x 1 x 9'; expected",
    ),
    "deep": (study() + "x: " + "[" * 100_000 + "\n", "nested too deeply"),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_a_message(name: str, tmp_path: Path) -> None:
    text, message = CASES[name]
    (tmp_path / "study.yaml").write_text(text)
    began = time.process_time()
    with pytest.raises(InputError, match=message):
        load_study(str(tmp_path / "study.yaml"))
    assert time.process_time() - began < 4.0  # twice what is promised of one that has the machine for itself


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_the_alias_bomb_takes_little_memory_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(CASES["aliases"][0])
    program = (
        "import re, sys; from scaling.cli import main; sys.argv = ['asr-scaling', 'plan', sys.argv[1]]\n"
        "try: main()\n"
        "finally: print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "study.yaml")]
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert os.times().children_user - before.children_user < 4.0
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert int(done.stdout) * 1024 < MEGABYTES_500


@pytest.mark.parametrize(
    "name", ["n\x1b[31mRED", "a\x1b]0;PWN\x07b\x1b[2J", "b\u202eX", "c\x9b8m", "d\u061cX", "e\u206aX"]
)
def test_a_name_that_steers_a_terminal_is_refused(name: str, tmp_path: Path) -> None:
    for fields in ({"name": name}, {"strategies": [{"preset": "joint", "name": name}]}):
        (tmp_path / "study.yaml").write_text(study(**fields))
        with pytest.raises(
            InputError, match=r"name: .* expected a name without blanks, slashes and control"
        ) as refused:
            load_study(str(tmp_path / "study.yaml"))
        assert str(refused.value).isprintable()


def test_a_file_of_a_hundred_megabytes_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(study() + "prompt: ")
    os.truncate(tmp_path / "study.yaml", 10**8)
    with pytest.raises(InputError, match=r"study\.yaml: 100000000 bytes; expected at most 1000000"):
        load_study(str(tmp_path / "study.yaml"))


@pytest.mark.parametrize("text", ["prompt=" + "x" * 2_000_000, "budgets_flops=[" + "1e11," * 100_000 + "]"])
def test_an_override_is_bounded_likewise(text: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(study())
    with pytest.raises(InputError, match="too long; expected at most 1000000 characters and 20000 values"):
        load_study(str(tmp_path / "study.yaml"), [text])
