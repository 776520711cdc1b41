"""Workers: one failed job does not end them, a user's settings do not reach them, nothing outlives its parent."""

import json
import signal
import time
from pathlib import Path

import pytest
from commands import running_in, start, wait_for
from conftest import shortened

from parity.errors import UsageError, WorkerError
from parity.recordings import recording
from parity.workers.job import RecordJob
from parity.workers.processes import Worker

LONG = ["xor_tanh", "--framework", "torch", "--steps", 200_000, "--out", "out"]


def job(experiment, side, out, **changes):
    fields = {"device": "cpu", "out": out} | changes
    return RecordJob("test", experiment.identity, getattr(experiment, side), **fields)


def quietly(done, steps):
    pass


@pytest.mark.parametrize("side", ["tf", "torch"])
def test_a_failed_job_is_followed_by_the_next(side, workers, tmp_path):
    experiment = shortened("xor_tanh", 3)
    with pytest.raises(UsageError, match="--device gpu"):
        workers[side].record(job(experiment, side, tmp_path / "a", device="gpu"), quietly)
    with pytest.raises(UsageError, match="cannot be read as safetensors"):
        workers[side].record(job(experiment, side, tmp_path / "b", initial_weights=Path("none")), quietly)
    workers[side].record(job(experiment, side, tmp_path / "c"), quietly)
    assert recording.read(tmp_path / "c").manifest.status == "complete"


def test_a_recording_is_never_overwritten(workers, tmp_path):
    experiment = shortened("xor_tanh", 3)
    workers["torch"].record(job(experiment, "torch", tmp_path), quietly)
    before = (tmp_path / recording.MANIFEST).read_bytes()
    with pytest.raises(UsageError, match="already holds a recording"):
        workers["torch"].record(job(experiment, "torch", tmp_path), quietly)
    assert (tmp_path / recording.MANIFEST).read_bytes() == before


def test_progress_counts_all_steps(workers, tmp_path):
    seen = []
    workers["torch"].record(job(shortened("xor_tanh", 500), "torch", tmp_path), lambda *done: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == (500, 500)
    assert {steps for _, steps in seen} == {500}


@pytest.mark.ci
def test_keras_uses_tensorflow_whatever_the_user_set(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with Worker("tf", "cpu", 1) as worker:
        worker.record(job(shortened("xor_tanh", 3), "tf", tmp_path), quietly)
    assert recording.read(tmp_path).manifest.environment["backend"] == "tensorflow"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="a process shows its variables on Linux alone")
@pytest.mark.parametrize(("given", "gets"), [(None, "10000"), ("7", "7")])
def test_threads_wait_less_busily_unless_the_user_says_how_long(given, gets, monkeypatch):
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if given is not None:
        monkeypatch.setenv("GOMP_SPINCOUNT", given)
    with Worker("torch", "cpu", 1) as worker:
        worker.wait_until_ready()
        variables = Path(f"/proc/{worker.process.pid}/environ").read_bytes().split(b"\0")
    assert f"GOMP_SPINCOUNT={gets}".encode() in variables


def test_a_killed_worker_is_named_and_its_recording_is_not_whole(tmp_path):
    with Worker("torch", "cpu", 1) as worker:

        def kill(done, steps):
            worker.process.send_signal(signal.SIGKILL)

        with pytest.raises(WorkerError, match="the torch worker was killed by SIGKILL"):
            worker.record(job(shortened("xor_tanh", 20001), "torch", tmp_path), kill)
    assert json.loads((tmp_path / recording.MANIFEST).read_text())["status"] == "recording"


def test_two_interrupts_leave_no_process(tmp_path):
    """The second Ctrl-C comes while the first one's grace period runs."""
    process = start("parity.record", *LONG, folder=tmp_path)
    wait_for(lambda: (tmp_path / "out" / recording.MANIFEST).exists())
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    wait_for(lambda: running_in(tmp_path) == {})


def test_a_worker_ends_with_its_parent(tmp_path):
    process = start("parity.record", *LONG, folder=tmp_path)
    wait_for(lambda: (tmp_path / "out" / recording.MANIFEST).exists())
    process.kill()
    process.wait()
    wait_for(lambda: running_in(tmp_path) == {})
    assert json.loads((tmp_path / "out" / recording.MANIFEST).read_text())["status"] == "interrupted"
