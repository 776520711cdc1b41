"""Commands as a user types them, in processes of their own, and what is left of those."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = [f"parity.{name}" for name in ("compare", "explain", "matrix", "published", "record", "run")]
# Their processes are copies of one that has imported what they import, which most of them would spend their time on.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(COMMANDS)


def command(module, *arguments, code=None):
    """The command line; `code` runs before the module, in the same process."""
    start = ["-m", module]
    if code is not None:
        start = ["-c", f"{code}\nimport runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"]
    return [sys.executable, *start, *map(str, arguments)]


def run(module, *arguments, folder, code=None, timeout=300):
    """A command in `folder`, run to its end; with `code`, in a process that begins with nothing imported."""
    called = command(module, *arguments, code=code)
    if code is not None:
        return subprocess.run(called, cwd=folder, capture_output=True, text=True, timeout=timeout)
    with tempfile.TemporaryDirectory() as said:
        files = [Path(said) / name for name in ("stdout", "stderr")]
        process = SERVER.Process(
            target=execute, args=(module, called[3:], dict(os.environ), str(folder), *map(str, files))
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(called, timeout)
        return subprocess.CompletedProcess(called, process.exitcode, *(file.read_text() for file in files))


def execute(module, arguments, environment, folder, *files):
    """Become `python -m module`, in `folder`, with standard output and error in two files."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for stream, file in zip((sys.stdout, sys.stderr), files, strict=True):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), stream.fileno())
    sys.path.insert(0, folder)
    sys.argv[1:] = arguments
    sys.modules.pop(module, None)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def start(module, *arguments, folder):
    """A command in `folder`, begun."""
    called = command(module, *arguments)
    return subprocess.Popen(called, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds=120, pause=0.05):
    """Until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(pause)


def running_in(folder):
    """The process numbers and command lines of what runs in `folder`."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                found[int(process.name)] = (process / "cmdline").read_text()
        except OSError:
            pass
    return found
