"""Commands as a user types them, in processes of their own, and what is left of those."""

import os
import subprocess
import sys
import time
from pathlib import Path


def command(module, *arguments, code=None):
    """The command line; `code` runs before the module, in the same process."""
    start = ["-m", module]
    if code is not None:
        start = ["-c", f"{code}\nimport runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"]
    return [sys.executable, *start, *map(str, arguments)]


def run(module, *arguments, folder, code=None, timeout=300):
    """A command in `folder`, run to its end."""
    called = command(module, *arguments, code=code)
    return subprocess.run(called, cwd=folder, capture_output=True, text=True, timeout=timeout)


def start(module, *arguments, folder):
    """A command in `folder`, begun."""
    called = command(module, *arguments)
    return subprocess.Popen(called, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds=120):
    """Until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
