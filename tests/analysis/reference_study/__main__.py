"""The five questions of the reference study, answered from its committed tables.

    PYTHONPATH=.:tests/analysis python -m reference_study [--folder FOLDER] [--quick | --page]

reads FOLDER/parts/*.jsonl and, where they are there, FOLDER/forecasts.jsonl, FOLDER/tuning/*.json and
FOLDER/six_nd.json; writes FOLDER/answers.json, fills the tables and sentences of README.md and TABLES.md from it, the
columns of DATASET.md, and draws figures/reference, all in FOLDER; FOLDER is results/reference by default, whose short
answer goes to README.md of the project. Another folder gets pages of its own, from the same text. Every statistic is
that of the commands of asr-scaling (`fit`, `compare`, `predict`, `forecast`). With all runs it takes four minutes of
one core.
"""

import argparse
import json
from pathlib import Path

from reference_study.answers import QUESTIONS, answers
from reference_study.card import columns
from reference_study.figure import draw
from reference_study.page import PAGES, PROJECT, answered, filled
from reference_study.tables import RESULTS, ROOT

CARD = "DATASET.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true", help="leave out question 5, which takes most of the time")
    parser.add_argument("--page", action="store_true", help="fill the pages from answers.json as it is")
    options = parser.parse_args()
    file = options.folder / "answers.json"
    if not options.page:
        asked = [name for name in QUESTIONS if not options.quick or name != "designs"]
        file.write_text(json.dumps(answers(options.folder, asked), indent=1) + "\n", "utf-8")
    found = json.loads(file.read_text("utf-8"))
    texts = {name: (RESULTS / name).read_text("utf-8") for name in (*PAGES, CARD)}
    pages = {name: answered(texts[name], blocks, found) for name, blocks in PAGES.items()}
    pages[CARD] = filled(texts[CARD], {"columns": columns()})
    for name, text in pages.items():
        (options.folder / name).write_text(text, "utf-8")
    if options.folder == RESULTS:
        readme = ROOT / "README.md"
        readme.write_text(answered(readme.read_text("utf-8"), PROJECT, found), "utf-8")
    print(file, *(options.folder / name for name in pages), *draw(options.folder, found))  # noqa: T201


if __name__ == "__main__":
    main()
