"""Only the file operations that a cold run needs: no runner that keeps these promises can be faster.

This models the promises, not restage. Each stage runs in its own folder with its inputs linked in;
its output goes to a store and is linked from there; its log and a record are kept; the folder is
removed; fifty stages share one flush.
"""

import ctypes
import os
import resource
import time

name = "files"
BATCH = 50
KILOBYTE = b"x" * 1000


def measure(base, count):
    """Wall and CPU seconds of `count` stages. What a stage itself does, writing its out, is among them."""
    base.mkdir(parents=True)
    os.chdir(base)
    try:
        for name in ("work", "objects", "records", "logs", "tmp", "out"):
            os.mkdir(name)
        for name in ("first", "second"):
            write(f"objects/{name}", KILOBYTE)
        sync = ctypes.CDLL(None, use_errno=True).syncfs
        folder = os.open(".", os.O_RDONLY)
        os.sync()
        wall, cpu = time.perf_counter(), cpu_seconds()
        for number in range(count):
            stage(number)
            if number % BATCH == BATCH - 1 or number == count - 1:
                sync(folder)
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        os.close(folder)
        return wall, cpu
    finally:
        os.chdir("/")


def stage(number):
    work = f"work/{number}"
    os.mkdir(work)
    os.mkdir(f"{work}/in")
    for name in ("first", "second"):
        os.link(f"objects/{name}", f"{work}/in/{name}")
    write(f"logs/{number}", b"")
    write(f"{work}/out", KILOBYTE)
    with open(f"{work}/out", "rb", buffering=0) as out:
        out.read(2 * len(KILOBYTE))
    os.rename(f"{work}/out", f"objects/{number}")
    os.link(f"objects/{number}", f"out/{number}")
    write(f"tmp/{number}", KILOBYTE)
    os.rename(f"tmp/{number}", f"records/{number}")
    for name in ("first", "second"):
        os.unlink(f"{work}/in/{name}")
    os.rmdir(f"{work}/in")
    os.rmdir(work)


def write(path, held):
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    os.write(file, held)
    os.close(file)


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
