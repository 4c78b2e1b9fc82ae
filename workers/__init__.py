"""The analysis that workers run: from an uploaded clip to frames, a tracked face, traces and vitals."""

import os

# Before numpy loads its BLAS: our matrices are small, and threads that spin for each of them cost more than they save
# (7 times the tracking's time beside one busy neighbour). Models have threads of their own, by setting.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
