"""The ledger: one holder at a time, one result for ever, nothing half-written, whatever dies when."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from memory_group import inside, kills, memory_group
from node_results import node_result

from scaling.errors import InputError
from scaling.ledger.events import read_events
from scaling.ledger.lease import LEASE_SECONDS
from scaling.ledger.ledger import Ledger, LostLease
from scaling.ledger.records import Event, Failure
from scaling.system.atomic_files import write_json_atomically, write_json_once
from scaling.system.json_files import read_json

KEY = "a" * 20
AS_JSON = node_result(provenance="it").model_dump_json(exclude_unset=True)


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
        f"from scaling.ledger.ledger import Ledger; from pathlib import Path; import time\n"
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


@pytest.fixture
def quickly_convinced(monkeypatch):
    """Silence of a tenth of a second is believed."""
    monkeypatch.setattr("scaling.ledger.lease.STILL_SECONDS", 0.1)


def silence(attempt, seconds=LEASE_SECONDS + 1):
    """Turn the heartbeat back, as if it had not been touched for so long."""
    then = time.time() - seconds
    os.utime(attempt.heartbeat, (then, then))


def claimed_in_time(ledger, session="s"):
    deadline = time.monotonic() + 5
    while (attempt := ledger.claim(KEY, session=session)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return attempt


def test_another_machines_lease_holds_while_its_heartbeat_is_touched(ledger, quickly_convinced):
    attempt = ledger.claim(KEY, session="s")
    on_another_machine(attempt)
    assert ledger.claim(KEY, session="s") is None
    silence(attempt)
    assert claimed_in_time(ledger).number == 2


@pytest.mark.parametrize("jump_seconds", [-86_400, 86_400])
def test_a_clock_that_jumps_takes_no_node_from_a_worker_whose_heartbeat_is_touched(
    ledger, quickly_convinced, jump_seconds
):
    attempt = ledger.claim(KEY, session="s")
    on_another_machine(attempt)
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        silence(attempt, jump_seconds)  # each beat is stamped by the jumped clock, and is a change all the same
        assert ledger.claim(KEY, session="s") is None
        time.sleep(0.02)


def test_a_stopped_process_loses_its_lease_and_commits_nothing_when_it_goes_on(ledger, quickly_convinced):
    code = (
        f"from scaling.ledger.ledger import Ledger, LostLease; from pathlib import Path; import sys\n"
        f"from scaling.ledger.records import NodeResult\n"
        f"attempt = Ledger(Path({str(ledger.root)!r})).claim({KEY!r}, session='s'); print('ok', flush=True)\n"
        f"sys.stdin.readline()\n"
        f"try: attempt.commit(NodeResult.model_validate_json({AS_JSON!r}))\n"
        f"except LostLease: print('refused', flush=True)"
    )
    zombie = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    zombie.stdout.readline()
    zombie.send_signal(signal.SIGSTOP)
    silence(ledger.attempts(KEY)[-1])
    taker = claimed_in_time(ledger)
    zombie.send_signal(signal.SIGCONT)
    said, _ = zombie.communicate(b"go\n", timeout=20)
    assert said == b"refused\n"
    taker.commit(node_result(provenance="taker"))
    assert ledger.result(KEY).provenance == "taker"


def test_a_pid_used_again_after_a_reboot_is_not_its_worker(ledger):
    attempt = ledger.claim(KEY, session="s")
    lease = attempt.folder / "lease.json"
    lease.write_text(json.dumps(read_json(lease) | {"started": "12"}))
    assert ledger.claim(KEY, session="s").number == 2


def test_a_lease_from_before_a_reboot_is_judged_by_its_heartbeat_alone(ledger, quickly_convinced):
    attempt = ledger.claim(KEY, session="s")
    lease = attempt.folder / "lease.json"
    lease.write_text(json.dumps(read_json(lease) | {"boot": "before"}))  # its pid and start time are those of a process
    assert ledger.claim(KEY, session="s") is None
    silence(attempt)
    assert claimed_in_time(ledger).number == 2


def test_a_lease_torn_by_a_power_cut_ends_with_its_silence(ledger, quickly_convinced):
    attempt = ledger.claim(KEY, session="s")
    (attempt.folder / "lease.json").write_bytes(b"")
    assert ledger.claim(KEY, session="s") is None
    silence(attempt)
    assert claimed_in_time(ledger).number == 2


@pytest.fixture
def kernel_counts(tmp_path, monkeypatch):
    """Sets the kernel's count of processes killed for memory."""
    counters = tmp_path / "vmstat"
    counters.write_text("nr_free_pages 7\noom_kill 3\n")
    monkeypatch.setattr("scaling.ledger.lease.KERNEL_COUNTERS", counters)
    return lambda count: counters.write_text(f"oom_kill {count}\n")


def dead(attempt):
    lease = attempt.folder / "lease.json"
    lease.write_text(json.dumps(read_json(lease) | {"started": "12"}))


@pytest.mark.parametrize("pid", [10**300, 0, -1])
def test_a_lease_of_no_possible_process_is_judged_by_its_heartbeat(ledger, pid):
    lease = ledger.claim(KEY, session="s").folder / "lease.json"
    lease.write_text(json.dumps(read_json(lease) | {"pid": pid}))
    assert ledger.claim(KEY, session="s") is None


def test_a_worker_that_the_kernel_killed_for_memory_is_recorded_so_by_the_next(ledger, kernel_counts):
    first = ledger.claim(KEY, session="s")
    kernel_counts(4)
    assert ledger.claim(KEY, session="s") is None  # another process was killed; this one lives
    dead(first)
    assert ledger.claim(KEY, session="s").number == 2
    assert first.failure().kind == "memory"
    assert first.final_failure("s") is None
    assert ledger.memory_failures(KEY) == 1


def test_a_worker_that_the_kernel_really_kills_for_memory_is_recorded_so(ledger):
    code = (
        f"from scaling.ledger.ledger import Ledger; from pathlib import Path\n"
        f"Ledger(Path({str(ledger.root)!r})).claim({KEY!r}, session='s'); b'x' * 2**30"
    )
    with memory_group(64 * 2**20) as group:
        worker = subprocess.run(inside(group, [sys.executable, "-c", code]), check=False)
        assert (worker.returncode, kills(group)) == (-signal.SIGKILL, 1)
    assert ledger.claim(KEY, session="s").number == 2
    assert ledger.memory_failures(KEY) == 1


def test_a_kill_without_the_kernels_word_is_no_failure(ledger, kernel_counts):
    first = ledger.claim(KEY, session="s")
    dead(first)
    assert ledger.claim(KEY, session="s").number == 2
    assert first.failure() is None
    assert ledger.memory_failures(KEY) == 0


def test_an_error_forbids_its_own_session_and_divergence_every_one_until_a_retry_is_allowed(ledger):
    attempt = ledger.claim(KEY, session="s")
    attempt.fail("error", "ValueError: no", session="s")
    assert (attempt.final_failure("s") is None, attempt.final_failure("t") is None) == (False, True)
    attempt.fail("diverged", "loss nan", session="s")
    assert attempt.final_failure("t").cause == "loss nan"
    attempt.allow_retry()
    assert attempt.final_failure("t") is None


def test_a_worker_that_was_taken_over_commits_nothing(ledger, quickly_convinced):
    stalled = ledger.claim(KEY, session="s")
    on_another_machine(stalled)
    os.utime(stalled.folder / "heartbeat", (0, 0))
    taker = claimed_in_time(ledger)
    with pytest.raises(LostLease):
        stalled.commit(node_result(provenance="stalled"))
    taker.commit(node_result(provenance="taker"))
    with pytest.raises(LostLease):
        stalled.commit(node_result(provenance="stalled"))
    assert ledger.result(KEY).provenance == "taker"


def test_a_result_whose_checkpoint_is_not_there_is_not_committed(ledger):
    attempt = ledger.claim(KEY, session="s")
    result = node_result(checkpoint="attempts/0001/final")
    with pytest.raises(InputError, match="attempts/0001/final: no such folder; expected the checkpoint"):
        attempt.commit(result)
    assert not ledger.done(KEY)
    (attempt.folder / "final").mkdir()
    attempt.commit(result)
    assert ledger.done(KEY)


def test_a_finished_node_is_never_claimed_again(ledger):
    ledger.claim(KEY, session="s").commit(node_result())
    assert ledger.claim(KEY, session="t") is None
    assert ledger.result(KEY).attempt == 1


def test_a_result_says_when_it_was_committed_and_keeps_that_when_its_checkpoint_is_made_again(ledger):
    before = time.time() - 1.0
    attempt = ledger.claim(KEY, session="s")
    attempt.commit(node_result(finished=1.0))
    attempt.release()
    first = ledger.result(KEY).finished
    assert before < first < time.time() + 1.0
    (ledger.folder(KEY) / "result.json").rename(ledger.folder(KEY) / "former.json")
    ledger.claim(KEY, session="t").commit(node_result())
    assert ledger.done(KEY)
    assert ledger.result(KEY).finished == first


def test_a_failed_or_released_attempt_frees_its_node_and_keeps_its_cause(ledger):
    first = ledger.claim(KEY, session="s")
    first.fail("error", "ValueError: no", session="s")
    second = ledger.claim(KEY, session="s")
    second.release()
    assert ledger.claim(KEY, session="s").number == 3
    assert first.failure() == Failure(kind="error", cause="ValueError: no", session="s")


def test_a_torn_event_is_skipped(ledger):
    attempt = ledger.claim(KEY, session="s")
    attempt.log(Event(event="start"))
    with attempt.events.open("ab") as file:
        file.write(b'{"event": "prog')
    assert [event.event for event in read_events(attempt.events)] == ["start"]


def test_an_event_after_one_that_a_full_disk_cut_short_begins_a_line_of_its_own(ledger):
    attempt = ledger.claim(KEY, session="s")
    attempt.log(Event(event="start"))
    with attempt.events.open("ab") as file:
        file.write(b'{"event": "prog')
    attempt.log(Event(event="progress"))
    attempt.log(Event(event="done"))
    assert [event.event for event in read_events(attempt.events)] == ["start", "progress", "done"]


def test_dying_at_any_write_point_of_a_claim_or_commit_leaves_a_node_that_the_next_can_finish(tmp_path, monkeypatch):
    """The next one is this process, which works by the same lines."""
    code = (
        "from scaling.ledger.ledger import Ledger; from pathlib import Path; import sys\n"
        "from scaling.ledger.records import Event, NodeResult\n"
        f"ledger = Ledger(Path(sys.argv[1])); ledger.add({KEY!r}, {{}})\n"
        f"attempt = ledger.claim({KEY!r}, session='s')\n"
        f"attempt and (attempt.log(Event(event='start')), attempt.commit(NodeResult.model_validate_json({AS_JSON!r})))"
    )
    places = []
    for number in range(1, 100):
        ledger = Ledger(tmp_path / str(number))
        command = [sys.executable, "-c", code, str(ledger.root)]
        first = subprocess.run(
            command, env={**os.environ, "ASR_SCALING_DIES_AT_WRITE": str(number)}, capture_output=True, check=False
        )
        if first.returncode == 0:
            break
        places.append(first.stderr.decode().partition("write point: ")[2].strip())
        assert first.returncode == -signal.SIGKILL
        monkeypatch.setattr(sys, "argv", command[2:])
        exec(code)
        assert ledger.result(KEY).provenance == "it"
        assert len(list(ledger.folder(KEY).glob("result.json"))) == 1
    assert {"claim: folder made", "claim: attempt begun", "result.json: in the middle", "result.json: linked"} <= {
        *places
    }
    assert len(places) >= 12


def test_write_once_never_replaces_and_leaves_nothing_behind(tmp_path):
    assert write_json_once(tmp_path / "x.json", {"a": 1})
    assert not write_json_once(tmp_path / "x.json", {"a": 2})
    write_json_atomically(tmp_path / "x.json", {"a": 3})
    assert read_json(tmp_path / "x.json") == {"a": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), ("{", "not valid JSON"), ("[]", "object")])
def test_a_bad_file_is_named(tmp_path, content, message):
    path = tmp_path / "stage.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_json(path)
