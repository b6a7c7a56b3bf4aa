"""A job in a process of its own."""

import os
import time

import pytest

from gan.sweeps import parallel_jobs


@pytest.mark.process
def test_a_job_ends_with_its_launcher():
    process = parallel_jobs.start((time.sleep, 600), dict(os.environ))
    process.stdin.close()  # as if the launcher's process had ended
    assert process.wait(60) == 1
