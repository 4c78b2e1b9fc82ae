"""What the card in a worker is: how much of its memory is taken, by the driver's own tool."""

import shutil
import subprocess

from shared.jobs.worker_registry import GpuMemory

_QUESTION = ["--query-gpu=memory.used,memory.total", "--format=csv,noheader,nounits"]


def gpu_memory() -> GpuMemory | None:
    """Memory of the first GPU that this process sees; None without one, or where it does not answer in time."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        answer = subprocess.run([tool, *_QUESTION], capture_output=True, text=True, timeout=5, check=True).stdout
        used, total = answer.splitlines()[0].split(",")
        return GpuMemory(used_bytes=int(used) << 20, total_bytes=int(total) << 20)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
