"""A study's share of the disk: looked at while workers work, and kept by freeing what nobody needs, or by stopping."""

import time
from dataclasses import dataclass

from scaling.console import log
from scaling.errors import InputError
from scaling.ledger.ledger import Ledger
from sweeps.progress.retention import collect_garbage, folder_bytes

LOOK_SECONDS = 5.0
"""Between measurements, and at least twenty times as long as one takes: thousands of files are slow to walk."""


@dataclass(slots=True)
class Quota:
    """At most so many 10^9 bytes of stages in a ledger; None: any number."""

    ledger: Ledger
    gigabytes: float | None
    next_look: float = 0.0

    def look(self) -> None:
        """Called often. Over the quota, free what the rule frees; raise InputError where that is not enough."""
        began = time.monotonic()
        if self.gigabytes is None or began < self.next_look:
            return
        stages = self.ledger.root / "stages"
        if folder_bytes(stages) > 1e9 * self.gigabytes:
            freed = collect_garbage(self.ledger)
            log(f"disk quota: freed {len(freed.nodes)} checkpoints and {freed.leftovers} leftovers")
            if (used := folder_bytes(stages)) > 1e9 * self.gigabytes:
                raise InputError(
                    f"{stages}: {used / 1e9:.3g} GB, all of it needed, is over disk_quota_gb: {self.gigabytes:g}; what"
                    " was trained is kept: raise the quota (`--set disk_quota_gb=N`) and run the same command again"
                )
        self.next_look = time.monotonic() + max(LOOK_SECONDS, 20 * (time.monotonic() - began))
