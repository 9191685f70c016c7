"""The README keeps its word: its links lead somewhere, its verbs exist, and every verb is in it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LOG.md", "results/README.md",
         "results/forecasting/README.md", *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")))  # fmt: skip


def verbs() -> list[str]:
    from scaling.cli import app

    return sorted(command.name or command.callback.__name__ for command in app.registered_commands)


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_to_files_of_the_repository(page):
    path = ROOT / page
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8")) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_verb_is_in_the_readme_and_every_verb_in_it_exists():
    written = set(re.findall(r"(?:^|`)asr-scaling ([a-z]+)", README, re.MULTILINE))
    assert written == set(verbs())


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_has_help_and_json(verb, asr_scaling):
    found = asr_scaling(verb, "--help")
    assert found.returncode == 0
    assert "--json" in found.stdout


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_version_is_printed(asr_scaling):
    from importlib.metadata import version

    found = asr_scaling("--version")
    assert (found.returncode, found.stdout) == (0, f"asr-scaling {version('asr-scaling')}\n")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("asr-scaling pred", "predict"),
        ("asr-scaling fit --gr", "--group"),
        ("asr-scaling explain narr", "narrow_range"),
        ("asr-scaling plan demo --hardware h100", "h100-sxm"),
    ],
)
def test_shells_complete_verbs_options_and_values(tmp_path, typed, offered):
    command = tmp_path / "asr-scaling"  # completion is asked for by the name of the command
    command.write_text(f"#!{sys.executable}\nfrom scaling.cli import main\nmain()\n")
    command.chmod(0o755)
    asked = {"_ASR_SCALING_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **asked}
    found = subprocess.run([command], env=environment, capture_output=True, text=True, check=False)
    assert found.stdout.split() == [offered]
