"""Transcripts by a trained recogniser: started by `asr-scaling transcribe`.

    python -m scaling.asr.use.transcribe --ledger ROOT --plan DIR/plan.json --node KEY    the run that ends in this node
    python -m scaling.asr.use.transcribe --model FOLDER                                   an exported recogniser

Reads clips from stdin, one JSON object a line with the fields of `scaling.speech.audio.Clip`. Writes a line for each
clip as soon as it is transcribed: {"place": line number of the clip from 0, "text"}.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
import transformers

from scaling.asr.use.export_folder import read_export
from scaling.asr.use.trained_recognizer import TrainedRecognizer, read_run
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from scaling.ledger.plan_file import read_plan
from scaling.speech.audio import Clip
from scaling.system.console import log


def main() -> int:
    """See the module's docstring. Exit code 2: the input cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m scaling.asr.use.transcribe", description=__doc__.splitlines()[0])
    parser.add_argument("--ledger", type=Path, help="root folder of the ledger")
    parser.add_argument("--plan", type=Path, help="plan.json of a study")
    parser.add_argument("--node", help="key of the node that ends the run")
    parser.add_argument("--model", type=Path, help="folder of an exported recogniser")
    arguments = parser.parse_args()
    clips = [Clip(**{**fields, "path": Path(fields["path"])}) for fields in map(json.loads, sys.stdin)]
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        recognizer = (
            read_export(arguments.model)
            if arguments.model
            else _read_run(arguments.ledger, arguments.plan, arguments.node)
        )
        for place, text in recognizer.transcripts(clips):
            sys.stdout.write(json.dumps({"place": place, "text": text}, ensure_ascii=False) + "\n")
            sys.stdout.flush()
    except InputError as error:
        log(f"error: {error}")
        return 2
    return 0


def _read_run(root: Path, plan_file: Path, key: str) -> TrainedRecognizer:
    plan = read_plan(plan_file)
    torch.set_num_threads(plan.threads)
    return read_run(Ledger(root), plan.sources, key)[0]


if __name__ == "__main__":
    sys.exit(main())
