"""Memory and processor time of other processes, read from `/proc` (Linux)."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def peak_memory(pid: int, run: Callable[[], None]) -> tuple[float, float]:
    """Resident memory of a process before `run`, and its largest during it, in MB."""
    before = peak = resident_mb(pid)
    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        peak = max(peak, resident_mb(pid))
        thread.join(0.02)
    return before, peak


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def family_cpu_s(pid: int) -> float:
    """Processor time of a process and its children so far, seconds."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_s(pid) + sum(cpu_s(int(child)) for child in children)


def cpu_share(pid: int, seconds: float) -> float:
    """Share of one core that a process uses over the next `seconds`."""
    cpu, begun = cpu_s(pid), time.perf_counter()
    time.sleep(seconds)
    return (cpu_s(pid) - cpu) / (time.perf_counter() - begun)
