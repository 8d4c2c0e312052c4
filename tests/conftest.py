"""Settings for all tests."""

import os

# Set before scikit-learn is imported, which skips its array API check without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from hypothesis import HealthCheck, settings

# The time that an example takes depends on the machine and on what else it does.
settings.register_profile("sklstm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sklstm")

collect_ignore = ["support/data"]  # The scripts that computed this data need other libraries.
