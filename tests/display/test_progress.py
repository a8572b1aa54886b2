"""What every display keeps of the rows it is sent."""

import pytest

from bellmax.display import Facts
from bellmax.display.progress import FINEST, History, Progress


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def facts(seeds=(0,), steps=1000, taken=0):
    return Facts("ppo", "CartPole-v1", "ingraph", steps, 8, list(seeds), None, None, taken)


def test_a_run_is_as_far_as_its_seeds_are_on_average():
    progress = Progress(facts(seeds=(3, 5)))
    progress.row({"seed": 3, "step": 600, "score": 1.0})
    # (600 + 0) / (2 * 1000)
    assert progress.fraction == pytest.approx(0.3)
    progress.row({"seed": 5, "step": 1200, "score": 1.0})  # whole rounds may go beyond the end
    assert progress.fraction == pytest.approx(0.9)
    progress.row({"seed": 3, "step": 1200, "score": 1.0})
    assert progress.fraction == 1.0


def test_a_resumed_run_begins_where_it_stopped_and_its_speed_counts_new_steps_alone():
    clock = Clock()
    progress = Progress(facts(taken=400), clock)
    assert progress.fraction == pytest.approx(0.4)
    clock.now += 10
    progress.row({"seed": 0, "step": 600, "score": None})
    # 200 new steps in 10 s; 400 to go at 20 a second. Counting the 400 old ones would say 60 a second.
    assert progress.seconds_left == pytest.approx(20)
    clock.now += 5  # no row since: the time left goes on shrinking
    assert progress.seconds_left == pytest.approx(15)


def test_compiling_is_no_running():
    clock = Clock()
    progress = Progress(facts(), clock)
    progress.compiling()
    clock.now += 3
    assert (progress.compiling_for, progress.seconds) == (3.0, 0.0)
    progress.compiled(3.0)
    clock.now += 2
    progress.row({"seed": 0, "step": 500, "score": None})
    assert (progress.compile_seconds, progress.seconds) == (3.0, 2.0)
    assert progress.seconds_left == pytest.approx(2)  # 250 a second; 100 a second if compiling counted


def test_the_speed_is_the_sum_over_the_seeds_that_still_run():
    progress = Progress(facts(seeds=(0, 1, 2)))
    assert progress.speed is None
    progress.row({"seed": 0, "step": 500, "steps_per_second": 100.0})
    progress.row({"seed": 1, "step": 500, "steps_per_second": 300.0})
    assert progress.speed == pytest.approx(400)
    progress.row({"seed": 1, "step": 1000, "steps_per_second": 300.0})  # done
    assert progress.speed == pytest.approx(100)


def test_the_score_is_the_mean_of_each_seeds_latest_and_gaps_do_not_count():
    progress = Progress(facts(seeds=(0, 1)))
    assert progress.score is None
    progress.row({"seed": 0, "step": 100, "score": 10.0})
    progress.row({"seed": 1, "step": 100, "score": 20.0})
    progress.row({"seed": 0, "step": 200, "score": 40.0})
    progress.row({"seed": 1, "step": 200, "score": None})  # no episode ended
    progress.row({"seed": 1, "step": 300, "score": float("nan")})
    assert progress.score == pytest.approx(30)  # (40 + 20) / 2


def test_metrics_are_the_algorithms_own_averaged_over_seeds():
    progress = Progress(facts(seeds=(0, 1)))
    standard = {"step": 10, "score": 1.0, "length": 5.0, "episodes": 2, "time": 0.1, "steps_per_second": 9.0}
    progress.row({"seed": 0, "kl": 0.25, "entropy": 1.0} | standard)
    progress.row({"seed": 1, "kl": 0.75, "note": "text", "flag": True} | standard)
    assert progress.metrics == {"kl": 0.5, "entropy": 1.0}


def test_a_history_has_means_in_equal_parts_of_the_run():
    history = History()
    history.add(0.1, 1.0)
    history.add(0.2, 3.0)
    history.add(0.6, 10.0)
    # Of four columns the first, [0, 0.25), has mean 2; the second repeats it; the third is 10; the last is to come.
    assert history.curve(4) == [2.0, 2.0, 10.0]
    assert History().curve(4) == []
    history.add(1.0, 20.0)
    assert history.curve(4) == [2.0, 2.0, 10.0, 20.0]
    assert len(history.curve(64)) == 64


def test_a_history_does_not_grow():
    history = History()
    for step in range(10_000):
        history.add(step / 10_000, 1.0)
    assert len(history.sums) == len(history.counts) == FINEST
    assert history.curve(FINEST) == [1.0] * FINEST


def test_histories_of_single_seeds_are_kept_for_eight_at_most():
    assert len(Progress(facts(seeds=range(8))).seed_histories) == 8
    assert Progress(facts(seeds=range(9))).seed_histories == {}
