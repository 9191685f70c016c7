"""`python stub_server.py`: the real fork server, of workers that do what the program STUB_WORKER says.

STUB_IMPORT: a program that runs where all that a worker needs is imported.
"""

import os
import sys
from types import ModuleType

from scaling.asr import fork_server

TRAINER = "scaling.asr.__main__"

if __name__ == "__main__":
    exec(os.environ.get("STUB_IMPORT", ""))
    trainer = sys.modules.setdefault(TRAINER, ModuleType(TRAINER))
    trainer.main = lambda: exec(os.environ["STUB_WORKER"], {})
    sys.exit(fork_server.main())
