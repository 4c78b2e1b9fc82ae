"""Memory of the GPU, from nvidia-smi."""

import shutil
import subprocess

from shared.jobs.worker_registry import GpuMemory

_QUERY = ["--query-gpu=memory.used,memory.total", "--format=csv,noheader,nounits"]


def gpu_memory() -> GpuMemory | None:
    """Return the memory of the first GPU; None without one, or if nvidia-smi does not answer within 5 s."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        answer = subprocess.run([tool, *_QUERY], capture_output=True, text=True, timeout=5, check=True).stdout
        used, total = answer.splitlines()[0].split(",")
        return GpuMemory(used_bytes=int(used) << 20, total_bytes=int(total) << 20)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
