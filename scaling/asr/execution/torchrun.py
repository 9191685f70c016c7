"""torchrun, ending as one process would: python -m scaling.asr.execution.torchrun OPTIONS -m scaling.asr

torchrun itself ends with exit code 1 whatever happened, and a launcher must tell a worker that was asked to leave from
one that found a user's mistake, and both from one that died.
"""

import logging
import os
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

LEAVE_SECONDS = 60
"""For a checkpoint, when asked to leave: no less than launchers wait. Then what hangs in an exchange is killed."""


def main() -> int:
    """Run torchrun on the command line; the exit code of the first process to fail, as shells have it."""
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(LEAVE_SECONDS))
    logging.disable()  # its report would hide what the process said last
    try:
        run.main(sys.argv[1:])
    except SignalException as asked:  # passed on to the processes, who had time for a checkpoint
        return 128 + int(asked.sigval)
    except ChildFailedError as failed:
        code = int(failed.get_first_failure()[1].exitcode)
        return code if code >= 0 else 128 - code
    return 0


if __name__ == "__main__":
    sys.exit(main())
