"""Runs in TensorBoard: `tensorboard --logdir DIR/tensorboard`. A run is a folder with its curve and its description;
the table of the HParams tab, saved as CSV, is one that `asr-scaling fit` reads.

TensorBoard's steps are 64-bit integers, and FLOPs are not: the step is the millions of FLOPs charged so far.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from scaling.ledger.records import RunDescription
from scaling.system.console import log
from scaling.system.contained_files import InnerFiles
from sweeps.run.tracked_run import CONFIG_FIELDS, display_name

FOLDER = "tensorboard"
"""The folder of a study that TensorBoard shows."""

FLOPS_A_STEP = 1e6
"""A stage of the minis then takes thousands of steps, and the largest budgets stay below 2^63."""


@dataclass(frozen=True, slots=True)
class TensorBoardRun:
    """A run whose file of events is open."""

    file: BinaryIO
    events: Any

    def log(self, point: Mapping[str, object]) -> None:
        """Write a point of the curve: its numbers as scalars, under their names."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        numbers = {name: value for name, value in point.items() if isinstance(value, int | float)}
        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        self.write(summary=Summary(value=values), step=round(numbers["flops"] / FLOPS_A_STEP))

    def write(self, **event: Any) -> None:
        """Write an event with these fields."""
        from tensorboard.compat.proto.event_pb2 import Event

        self.events.write(Event(wall_time=time.time(), **event).SerializeToString())
        self.file.flush()

    def finish(self, *, ok: bool) -> None:
        """Say whether the run is done, and close the file."""
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

        status = api_pb2.STATUS_SUCCESS if ok else api_pb2.STATUS_FAILURE
        ended = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
        described = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=ended))
        try:
            self.write(summary=Summary(value=[Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=described)]))
            self.file.close()
        except OSError as error:  # an error of the tracker loses nothing: the ledger has everything
            log(f"tracking: {error}")


def begin(folder: Path, run: RunDescription) -> TensorBoardRun:
    """A new folder for the run, in the place of an earlier one.

    TensorBoard's own writer of events puts the name of the host into the name of the file; here the key stands there.
    """
    from tensorboard.plugins.hparams import summary_v2
    from tensorboard.summary.writer.record_writer import RecordWriter

    files, place = InnerFiles(folder), f"{FOLDER}/{folder_name(run)}"
    files.remove(place)
    files.make_folder(place)
    with files.folder(place) as opened:
        file = (opened / f"events.out.tfevents.{run.key}").open("xb")
    begun = TensorBoardRun(file, RecordWriter(file))
    begun.write(file_version="brain.Event:2")
    described = {name: value for name, value in run.model_dump(include=CONFIG_FIELDS).items() if value is not None}
    begun.write(summary=summary_v2.hparams_pb(described, trial_id=run.key))
    return begun


def folder_name(run: RunDescription) -> str:
    """The name of a run's folder, which TensorBoard shows: the run in words, and the beginning of its key."""
    return re.sub(r"[^\w.+-]+", "_", f"{display_name(run)} {run.key[:6]}")
