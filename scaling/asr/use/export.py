"""Writes a run's recogniser to a folder: started by `asr-scaling export`.

    python -m scaling.asr.use.export --ledger ROOT --plan DIR/plan.json --node KEY FOLDER

FOLDER exists and is empty; `scaling.asr.use.export_folder` describes its layout.
"""

import argparse
import sys
from pathlib import Path

import transformers

from scaling.asr.resources import Sources
from scaling.asr.use.export_folder import write_export
from scaling.asr.use.trained_recognizer import read_run
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan
from scaling.system.console import log


def main() -> int:
    """See the module's docstring. Exit code 2: the input cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m scaling.asr.use.export", description=__doc__.splitlines()[0])
    parser.add_argument("--ledger", type=Path, required=True, help="root folder of the ledger")
    parser.add_argument("--plan", type=Path, required=True, help="plan.json of a study")
    parser.add_argument("--node", required=True, help="key of the node that ends the run")
    parser.add_argument("folder", type=Path, help="where to write")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        plan = read_plan(arguments.plan)
        trained, node = read_run(Ledger(arguments.ledger), plan.sources, arguments.node)
        sources = Sources(plan.sources)
        bases = sources.directory(node.model.encoder), sources.directory(node.model.llm)
        write_export(trained, node, bases, arguments.folder)
    except InputError as error:
        log(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
