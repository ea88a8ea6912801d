"""CPU and memory seen from outside: straight lines between samples, and no process forgotten when it ends."""

import subprocess
import sys

import psutil
import pytest

from benchmarks.sampler import Sample, Tree, peak_rss, usage

BUSY = "import time\nwhile time.process_time() < 0.3: pass\n"


def sample(at: float, cpu: float = 0.0, rss: int = 0) -> Sample:
    """Consumer and PostgreSQL equally busy, the broker half as much, the machine with one core's more."""
    return Sample(at=at, consumer=cpu, postgres=cpu, kafka=cpu / 2, machine=cpu * 2.5 + at, rss=rss)


def test_usage_between_samples_lies_on_the_line_between_them() -> None:
    found = usage([sample(0.0, 0.0), sample(1.0, 1.0), sample(2.0, 3.0)], 0.5, 1.5)
    assert (found.consumer, found.postgres, found.kafka) == pytest.approx((1.5, 1.5, 0.75))


def test_what_others_used_is_the_rest_of_the_machine() -> None:
    assert usage([sample(0.0, 0.0), sample(4.0, 2.0)], 0.0, 4.0).elsewhere == pytest.approx(4.0)


def test_moments_outside_the_samples_take_the_nearest_one() -> None:
    assert usage([sample(1.0, 1.0), sample(2.0, 2.0)], 0.0, 9.0).consumer == pytest.approx(1.0)


def test_the_peak_is_that_of_the_time_asked_for() -> None:
    samples = [sample(1.0, rss=50), sample(2.0, rss=90), sample(3.0, rss=70)]
    assert peak_rss(samples) == 90
    assert peak_rss(samples, 2.5, 9.0) == 70
    assert peak_rss(samples, 5.0, 9.0) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system keeps no account of ended children")
def test_cpu_of_a_child_that_has_ended_is_not_lost() -> None:
    tree = Tree(psutil.Process().pid)
    tree.look()
    before = tree.cpu()
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    assert tree.cpu() - before >= 0.2  # counted in ticks of 10 ms


def test_cpu_never_goes_back() -> None:
    child = subprocess.Popen([sys.executable, "-c", BUSY])
    tree = Tree(child.pid)
    psutil.wait_procs([psutil.Process(child.pid)], timeout=60)
    seen = tree.cpu()
    child.wait()
    assert tree.cpu() >= seen
