"""torchrun, with the exit code of its worker: python -m scaling.asr.execution.torchrun OPTIONS -m scaling.asr

torchrun itself ends with exit code 1 whatever happened. But a launcher must tell a worker that was asked to leave from
one that found a user's mistake, and both from one that died.
"""

import logging
import os
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from scaling.system.own_code import own_code_only

LEAVE_SECONDS = 60
"""Time for a checkpoint when workers are asked to leave, at least as long as launchers wait (assumption). Then torchrun
kills processes that hang in an exchange."""


def main() -> int:
    """Run torchrun with this command's arguments; the exit code of the first process that failed, as a shell has it."""
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(LEAVE_SECONDS))
    logging.disable()  # torchrun's report would hide the last messages of the process
    try:
        with own_code_only():  # torchrun starts the processes by `python -m`
            run.main(sys.argv[1:])
    except SignalException as signal:  # torchrun has passed it on to the processes, which had time for a checkpoint
        return 128 + int(signal.sigval)
    except ChildFailedError as error:
        code = int(error.get_first_failure()[1].exitcode)
        return code if code >= 0 else 128 - code
    return 0


if __name__ == "__main__":
    sys.exit(main())
