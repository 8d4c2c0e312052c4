"""Ray: searches on its workers, through joblib."""

import os

import joblib
import pytest
from support.data import ESTIMATORS

ray = pytest.importorskip("ray")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def two_workers():
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    register_ray()
    yield
    ray.shutdown()


@pytest.mark.usefixtures("two_workers")
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_search_on_two_workers_gives_the_same_bits_as_a_serial_one(cls, search):
    serial = search(cls)
    assert serial.processes == {os.getpid()}
    # Without n_jobs, parallel_config uses one job in this process.
    with joblib.parallel_config(backend="ray", n_jobs=-1):
        on_workers = search(cls)
    assert os.getpid() not in on_workers.processes
    on_workers.assert_same(serial)
