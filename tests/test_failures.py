"""Workers that crash, hang, run out of memory, disk or time, or are killed: named, and nothing false is left behind."""

import json
import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from commands import command, run, running_in, start, wait_for

from parity.errors import ParityError
from parity.recordings import recording
from parity.workers.processes import uninterrupted

# A module that a worker imports in place of the framework, being in the folder it runs in.
ABORTS = "import os; print('the last words'); os.abort()"
HANGS = "import time; print('the last words', flush=True); time.sleep(1000)"
# The real framework, in a process that can have 256 MB more than it has when it is configured.
POOR = """
import resource, sys
sys.path.pop(0), sys.modules.pop("torch")
import torch
stock = torch.set_flush_denormal
def limit(wanted):
    stock(wanted)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
torch.set_flush_denormal = limit
"""


def status_of(folder):
    """What the manifest of the recording in `folder` says, None where there is none."""
    path = folder / recording.MANIFEST
    return json.loads(path.read_text())["status"] if path.exists() else None


@pytest.mark.slow
def test_a_framework_that_crashes(tmp_path):
    (tmp_path / "torch.py").write_text(ABORTS)
    done = run("parity.run", "xor_tanh", "--steps", 10, "--out", "out", folder=tmp_path)
    message = "error: the torch worker was killed by SIGABRT\n  torch: the last words\n"
    assert (done.returncode, done.stderr) == (4, message)
    assert status_of(tmp_path / "out/tf") == "complete"


@pytest.mark.ci
def test_a_framework_that_cannot_be_imported(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch_cpu.so: cannot open shared object file')")
    done = run("parity.run", "xor_tanh", "--steps", 10, "--out", "out", folder=tmp_path)
    told, *lines = done.stderr.splitlines()
    message = "error: the torch worker failed: ImportError: libtorch_cpu.so: cannot open shared object file"
    assert (done.returncode, told) == (4, message)
    assert len(lines) == 5
    assert all(line.startswith("  torch: ") for line in lines)
    assert status_of(tmp_path / "out/tf") == "complete"


@pytest.mark.slow
def test_a_framework_that_hangs_while_imported(tmp_path):
    (tmp_path / "keras.py").write_text(HANGS)
    options = ["--steps", 10, "--time-limit", 20, "--out", "out"]
    done = run("parity.run", "xor_tanh", *options, folder=tmp_path)
    message = "error: the tf worker was stopped: importing it took longer than 20 s\n  tf: the last words\n"
    assert (done.returncode, done.stderr) == (4, message)
    assert status_of(tmp_path / "out/torch") == "complete"
    assert running_in(tmp_path) == {}


@pytest.mark.ci
def test_a_job_past_its_time_limit(tmp_path):
    """200,000 eager steps take minutes, and importing both frameworks seconds."""
    options = ["--framework", "torch", "--steps", 200_000, "--time-limit", 15, "--out", "out"]
    done = run("parity.record", "xor_tanh", *options, folder=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        4, "error: the torch worker was stopped: recording took longer than 15 s"
    )  # fmt: skip
    assert status_of(tmp_path / "out") == "interrupted"


@pytest.mark.ci
def test_out_of_memory(mnist_folder, tmp_path):
    """60,000 images in float64 take 376 MB."""
    (tmp_path / "torch.py").write_text(POOR)
    options = ["--data", mnist_folder, "--dtype", "float64", "--steps", 3, "--out", "out"]
    done = run("parity.run", "mnist_softmax", *options, folder=tmp_path)
    assert done.returncode == 4
    told = done.stderr.splitlines()[0]
    assert told == "error: the torch worker failed: MemoryError: out of memory; close other programs, or ask for less"
    assert all(line.startswith("  torch: ") for line in done.stderr.splitlines()[1:])
    assert status_of(tmp_path / "out/tf") == "complete"
    assert status_of(tmp_path / "out/torch") in (None, "failed")


@pytest.fixture
def small_disk(tmp_path):
    """A function that runs a command with `out` on a disk of 300 KB, in a mount namespace of its own."""
    (tmp_path / "out").mkdir()
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no mount namespaces")

    def limited(*called):
        script = 'mount -t tmpfs -o size=300k tmpfs out && { "$@"; status=$?; cp -r out copy; exit $status; }'
        return subprocess.run(
            [*unshare, "sh", "-c", script, "sh", *called], cwd=tmp_path, capture_output=True, text=True, timeout=300
        )

    return limited


@pytest.mark.ci
def test_a_full_disk(small_disk, tmp_path):
    """Three states of 784-10 under Adam have 94 KB each, so the first fits and the last does not."""
    done = small_disk(*command("parity.record", "mnist_softmax", "--framework", "torch", "--steps", 3, "--out", "out"))
    message = "cannot be written (No space left on device); make room, or choose another place\n"
    assert done.returncode == 2
    assert done.stderr.startswith("error: out/")
    assert done.stderr.endswith(message)
    assert done.stderr.count("\n") == 1
    assert status_of(tmp_path / "copy") == "failed"
    assert not list((tmp_path / "copy").rglob("*.partial"))
    compared = run("parity.compare", "copy", "copy", folder=tmp_path)
    assert (compared.returncode, "status: failed" in compared.stderr) == (3, True)


@pytest.mark.parametrize("request_to_stop", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.ci)])
def test_interruption(request_to_stop, tmp_path):
    """While training: status 130 within five seconds, recordings that say so, no process left behind."""
    process = start("parity.run", "xor_tanh", "--out", "out", folder=tmp_path)
    sides = [tmp_path / "out" / side for side in ("tf", "torch")]
    wait_for(lambda: all(status_of(side) for side in sides))
    process.send_signal(request_to_stop)
    # The limit that the grace period keeps, whatever the machine's speed.
    _, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert [status_of(side) for side in sides] == ["interrupted", "interrupted"]
    assert running_in(tmp_path) == {}
    done = run("parity.compare", "out/tf", "out/torch", folder=tmp_path)
    message = "error: out/tf is not a complete recording (status: interrupted); record it again\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", message)


def test_interruption_while_frameworks_load(tmp_path):
    process = start("parity.run", "xor_tanh", "--out", "out", folder=tmp_path)
    wait_for(lambda: sum("parity.worker" in line for line in running_in(tmp_path).values()) == 2)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert running_in(tmp_path) == {}


def test_a_request_to_stop_waits_until_a_process_has_begun():
    before, reached = signal.signal(signal.SIGTERM, signal.default_int_handler), []
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012, the point is where in the block it comes
            with uninterrupted():
                signal.raise_signal(signal.SIGTERM)
                reached.append("the end of the inner block")
            reached.append("what follows")
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert reached == ["the end of the inner block"]


def reached_within_uninterrupted():
    with uninterrupted():
        return True


def test_processes_may_be_started_by_any_thread():
    """Signals are the main thread's, as in a notebook's server: another one has nothing to put off."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(reached_within_uninterrupted).result()


def killed_at(moment, side, folder):
    """parity.run on five steps, one worker killed so many seconds after both were started; returns what is left."""
    process = start("parity.run", "xor_tanh", "--steps", 5, "--no-figures", "--out", "out", folder=folder)
    workers = lambda: {n: line for n, line in running_in(folder).items() if f"\0{side}\0--threads" in line}  # noqa: E731
    wait_for(workers)
    time.sleep(moment)
    for number in workers():
        os.kill(number, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


# The workers of five steps live for about ten seconds here; some kills come too late, which is a moment like others.
LONGEST = 14


@pytest.mark.parametrize(
    "number", [pytest.param(number, marks=pytest.mark.slow if number else pytest.mark.ci) for number in range(20)]
)
def test_a_kill_at_a_random_moment(number, tmp_path):
    """Never a recording that counts and is not whole; the other side is whole; the next run works."""
    dice = random.Random(number)
    side, other = dice.sample(["tf", "torch"], 2)
    status, errors = killed_at(dice.uniform(0, LONGEST), side, tmp_path)
    assert running_in(tmp_path) == {}
    assert recording.read(tmp_path / "out" / other).manifest.status == "complete"
    if status == 4:
        assert errors.startswith(f"error: the {side} worker was killed by SIGKILL (what the system does when memory")
        done = run("parity.compare", "out/tf", "out/torch", folder=tmp_path)
        if status_of(tmp_path / "out" / side) == "complete":
            # Killed while it replayed the other side's checkpoints, with everything of its own written.
            whole = recording.read(tmp_path / "out" / side)
            assert set(whole.checkpoints.values()) <= set(whole.manifest.replays)
            assert all(whole.replayed(key) is not None for key in whole.manifest.replays)
            assert set(whole.loop()) != set()
            assert done.returncode == 0
        else:
            assert done.returncode in (2, 3)
            with pytest.raises(ParityError):
                recording.read(tmp_path / "out" / side)
    else:
        # Killed after its last word.
        assert (status, recording.read(tmp_path / "out" / side).manifest.status) == (0, "complete")
    done = run("parity.record", "xor_tanh", "--framework", side, "--steps", 5, "--out", "next", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("parity.compare", "next", f"out/{other}", folder=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "verdict: parity")
