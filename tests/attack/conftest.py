"""Attacks: what the documentation claims, under mutated files, kills, forks, signals and threads.

``make test`` runs a short form of each, ``make test-attack`` a long one.
"""

import os
import subprocess
import sys
import textwrap

import pytest

IS_LONG = bool(os.environ.get("SKLSTM_ATTACK"))

# Seconds after which a process counts as hung.
TIMEOUT = 600


@pytest.fixture
def rounds():
    """Return a function that chooses between the number of rounds of a short and a long attack."""
    return lambda few, many: many if IS_LONG else few


@pytest.fixture
def run_script(tmp_path):
    """Return a function that runs a script in a Python of its own and returns what it prints.

    BLAS has two threads there. The arguments are those of the script.
    """

    def run(script, *arguments, code=0):
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OPENBLAS_NUM_THREADS": "2",
            "OMP_NUM_THREADS": "2",
        }
        command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=TIMEOUT
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run
