"""The ledger: one holder at a time, one result for ever, nothing half-written, whatever dies when."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from scaling.errors import InputError
from scaling.ledger import LEASE_SECONDS, Ledger, LostLease, read_events, read_json, write_atomically, write_once

KEY = "a" * 20


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.add(KEY, {"node": {}})
    return ledger


def test_what_a_node_is_never_changes(ledger):
    assert not ledger.add(KEY, {"node": {"other": 1}})
    assert ledger.stage(KEY)["node"] == {}


def test_a_node_held_by_a_live_worker_is_not_given_to_another(ledger):
    assert ledger.claim(KEY, session="s").number == 1
    assert ledger.claim(KEY, session="s") is None


def test_a_dead_workers_node_is_free_at_once(ledger):
    code = (
        f"from scaling.ledger import Ledger; from pathlib import Path; import time\n"
        f"Ledger(Path({str(ledger.root)!r})).claim({KEY!r}, session='s'); print('ok', flush=True); time.sleep(60)"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    worker.stdout.readline()
    assert ledger.claim(KEY, session="s") is None
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    assert ledger.claim(KEY, session="s").number == 2


def on_another_machine(attempt):
    lease = attempt.folder / "lease.json"
    lease.write_text(json.dumps(read_json(lease) | {"host": "elsewhere"}))


def test_another_machines_lease_holds_while_its_heart_beats(ledger):
    attempt = ledger.claim(KEY, session="s")
    on_another_machine(attempt)
    assert ledger.claim(KEY, session="s") is None
    long_ago = time.time() - LEASE_SECONDS - 1
    os.utime(attempt.folder / "heartbeat", (long_ago, long_ago))
    assert ledger.claim(KEY, session="s").number == 2


def test_a_pid_used_again_after_a_reboot_is_not_its_worker(ledger):
    attempt = ledger.claim(KEY, session="s")
    lease = attempt.folder / "lease.json"
    lease.write_text(json.dumps(read_json(lease) | {"started": "12"}))
    assert ledger.claim(KEY, session="s").number == 2


def test_a_worker_that_was_taken_over_commits_nothing(ledger):
    stalled = ledger.claim(KEY, session="s")
    on_another_machine(stalled)
    os.utime(stalled.folder / "heartbeat", (0, 0))
    taker = ledger.claim(KEY, session="s")
    with pytest.raises(LostLease):
        stalled.commit({"by": "stalled"})
    taker.commit({"by": "taker"})
    with pytest.raises(LostLease):
        stalled.commit({"by": "stalled"})
    assert ledger.result(KEY)["by"] == "taker"


def test_a_finished_node_is_never_claimed_again(ledger):
    ledger.claim(KEY, session="s").commit({"flops": 1})
    assert ledger.claim(KEY, session="t") is None
    assert ledger.result(KEY)["attempt"] == 1


def test_a_failed_or_released_attempt_frees_its_node_and_keeps_its_cause(ledger):
    first = ledger.claim(KEY, session="s")
    first.fail("error", "ValueError: no", session="s")
    second = ledger.claim(KEY, session="s")
    second.release()
    assert ledger.claim(KEY, session="s").number == 3
    assert first.failure() == {"kind": "error", "cause": "ValueError: no", "session": "s"}


def test_a_torn_event_is_skipped(ledger):
    attempt = ledger.claim(KEY, session="s")
    attempt.log({"event": "start"})
    with attempt.events.open("ab") as file:
        file.write(b'{"event": "prog')
    assert [event["event"] for event in read_events(attempt.events)] == ["start"]


def test_write_once_never_replaces_and_leaves_nothing_behind(tmp_path):
    assert write_once(tmp_path / "x.json", {"a": 1})
    assert not write_once(tmp_path / "x.json", {"a": 2})
    write_atomically(tmp_path / "x.json", {"a": 3})
    assert read_json(tmp_path / "x.json") == {"a": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), ("{", "not valid JSON"), ("[]", "object")])
def test_a_bad_file_is_named(tmp_path, content, message):
    path = tmp_path / "stage.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_json(path)
