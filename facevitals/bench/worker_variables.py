"""What a measurement and its workers agree on: environment variables, and the clip that kills a worker.

Apart from the worker modules: those read the settings of the environment when they are imported, and a measuring
process must not.
"""

from typing import Final

#: Environment variable: the file that `facevitals.bench.replay.save` wrote.
RECORDING_VARIABLE: Final = "FACEVITALS_BENCH_RECORDING"
#: Environment variable: seconds that a branch sleeps instead of working, or at most sleeps (chaos).
SLEEP_VARIABLE: Final = "FACEVITALS_BENCH_SLEEP_S"
#: Environment variable: folder in which each try of a branch appends one byte to a file of its own.
TRIES_VARIABLE: Final = "FACEVITALS_BENCH_TRIES"
#: A clip that contains it kills the worker process that opens it (`facevitals.bench.chaos_worker`).
POISON: Final = b"POISON"
