"""The pages show what the commands print, their site builds without a broken link, and the citation is complete."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```console\n\$ asr-scaling ([^\n]+)\n(.*?)```", re.DOTALL)


def blocks() -> Iterator[object]:
    for page in PAGES:
        for command, shown in BLOCK.findall(page.read_text("utf-8")):
            yield pytest.param(command, shown, id=f"{page.stem}: {command}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the published study and with the table of the page about tables."""
    here = tmp_path_factory.mktemp("pages")
    shutil.copytree(ROOT / "results" / "quickstart", here / "results" / "quickstart")
    (table,) = re.findall(r"```csv\n(.*?)```", (ROOT / "docs" / "bring-your-table.md").read_text("utf-8"), re.DOTALL)
    (here / "results.csv").write_text(table)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        yield here


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("command", "shown"), list(blocks()))
def test_a_page_shows_what_the_command_prints(asr_scaling, command, shown) -> None:
    found = asr_scaling(*shlex.split(command), COLUMNS="80")
    said = [line for line in found.stderr.splitlines() if not line.endswith(" ...")]  # slow steps are announced
    printed = "\n".join([*said, found.stdout])
    pattern = ".*".join(re.escape(part) for part in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE))
    assert re.fullmatch(pattern, printed, re.DOTALL), printed


def test_the_site_builds_and_no_link_is_broken(tmp_path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    found = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    pages = {page.relative_to(tmp_path).as_posix() for page in tmp_path.rglob("*.html")} - {"404.html"}
    assert pages == {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")}
    assert "](../" not in "".join(page.read_text("utf-8") for page in tmp_path.glob("*.html"))


def test_the_citation_says_what_the_package_says() -> None:
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"cff-version", "message", "title", "authors", "type"} <= set(citation)
    assert (citation["title"], citation["version"]) == (project["name"], project["version"])
    assert citation["license"] == project["license"]
    assert citation["abstract"].strip() == project["description"]
