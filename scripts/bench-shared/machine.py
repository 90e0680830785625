"""Describes this machine, and measures how busy other processes keep it."""

import os
import platform
import re
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def busy_seconds():
    """CPU seconds that all processes used since boot, with those stolen by other machines."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / TICKS


def process_seconds(pid):
    """CPU seconds of a process with all its threads."""
    # The command's name, in parentheses, may contain spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(pid):
    """The most memory that a process ever had resident, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


def cpus():
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_name():
    """The CPU as the kernel names it, with family and model, as names may say little."""
    text = Path("/proc/cpuinfo").read_text()

    def field(name):
        found = re.search(rf"^{name}\s*:\s*(.+)$", text, re.MULTILINE)
        return found.group(1).strip() if found else None

    name = field("model name") or platform.machine()
    family, model = field("cpu family"), field("model")
    return f"{name} (family {family}, model {model})" if family else name


def memory_gib():
    """All memory, in GiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
