"""`python stub_server.py`: the real fork server, of workers that do what the program STUB_WORKER says.

STUB_IMPORT: a program that runs where all that a worker needs is imported.
"""

import os
import sys
from collections.abc import Callable

from scaling.asr import fork_server


def imported() -> Callable[[], None]:
    exec(os.environ.get("STUB_IMPORT", ""), globals())
    return lambda: exec(os.environ["STUB_WORKER"], {})


if __name__ == "__main__":
    fork_server._imported_worker = imported
    sys.exit(fork_server.main())
