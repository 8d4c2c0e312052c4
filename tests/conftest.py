"""What holds for every test."""

import os

# Before scikit-learn is imported: its array API check skips itself without the first.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from hypothesis import settings

# How long an example takes depends on the machine.
settings.register_profile("sklstm", deadline=None)
settings.load_profile("sklstm")

collect_ignore = ["support/data"]  # The scripts that made these numbers need other libraries.
