"""Imported first where processes are forked: threads do not survive that, and TensorFlow would wait
for its own.
"""

import os

for library in ("TF_NUM_INTRAOP", "TF_NUM_INTEROP", "OMP_NUM", "OPENBLAS_NUM"):
    os.environ[f"{library}_THREADS"] = "1"
