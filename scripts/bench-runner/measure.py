"""Runs one command and measures what it and its descendants cost. Needs Linux."""

import contextlib
import ctypes
import os
import signal
import time
from dataclasses import dataclass
from typing import Optional

import machine

PR_SET_CHILD_SUBREAPER = 36
# Shorter runs are too short for the kernel's clock ticks to show who was busy.
TICKS_SUFFICE = 0.5


class Failed(Exception):
    """A command that ended badly, or could not be tried."""


@dataclass
class Cost:
    """`cpu` is user and system time of all waited-for processes, `peak_mib` of the largest."""

    wall: float
    cpu: float
    peak_mib: float
    status: int
    over: bool
    foreign: Optional[float]  # CPUs that other processes used meanwhile, or None if the run was too short to tell
    ran: int = 0  # stages, if they were counted


def environment(home, extra=None):
    """What tools get: no settings of the caller's, least of all a surrounding make's."""
    dropped = ("MAKE", "MFLAGS", "RESTAGE_", "SNAKEMAKE", "DVC", "DOIT", "NINJA", "PYTHON", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "HOME": str(home), "SHELL": "/bin/sh", "LC_ALL": "C.UTF-8", **(extra or {})}


def run(command, folder, env, log, limit, exact=False):
    """Runs it in `folder`, at most `limit` seconds.

    A process inherits this program's size as its own peak. Where memory counts, `exact` starts it
    by a shell that ends at once, which makes wall time some ms longer.
    """
    command = [str(part) for part in command]
    os.chdir(folder)
    busy, start = machine.busy_seconds(), time.perf_counter()
    group = pid = over = None

    def stop(*_):
        nonlocal over
        over = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)

    old = signal.signal(signal.SIGALRM, stop)
    try:
        group, pid = start_by_shell(command, env, log) if exact else start_here(command, env, log)
        signal.setitimer(signal.ITIMER_REAL, limit)
        _, status, usage = os.wait4(pid, 0)
    except BaseException:
        if group:
            stop()
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        os.chdir("/")
    wall = time.perf_counter() - start
    cpu = usage.ru_utime + usage.ru_stime
    foreign = max(0.0, (machine.busy_seconds() - busy - cpu) / wall) if wall > TICKS_SUFFICE else None
    if over:
        reap()
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    return Cost(wall, cpu, usage.ru_maxrss / 1024, code, bool(over), foreign)


def start_here(command, env, log):
    """The process leads a group of its own, so that all of it can be ended."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(command[0], command, env, file_actions=actions, setpgroup=0)
    return pid, pid


def start_by_shell(command, env, log):
    """The shell's child becomes ours when the shell ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ours, its = os.pipe()
    try:
        script = '"$@" </dev/null >"$0" 2>&1 & echo $!'
        shell = ["/bin/sh", "-c", script, str(log), *command]
        actions = [(os.POSIX_SPAWN_DUP2, its, 1)]
        group = os.posix_spawn(shell[0], shell, env, file_actions=actions, setpgroup=0)
        os.waitpid(group, 0)
        return group, int(os.read(ours, 100))
    finally:
        os.close(ours)
        os.close(its)


def reap():
    """What a killed tool left behind was killed with it, and is now ours."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def last_line(log):
    """The last thing that a failed command said."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else "it said nothing"
