"""Rewards: other people's functions, which raise, hang and give nonsense, and reward models."""

import asyncio
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.language.config import ModelConfig
from bellmax.language.in_parallel import in_parallel
from bellmax.language.learner import Compute
from bellmax.language.model_rewards import EnsembleReward, ModelReward, cautious
from bellmax.language.rewards import Rewarded, Rewards, UnknownReward, find_reward, number
from bellmax.language.tasks import Reverse
from tests.language import tiny

PROMPTS = [str(i) for i in range(12)]


def judge(parts, completions=PROMPTS, **options):
    return Rewards(parts, **options)(
        PROMPTS[: len(completions)], completions, [{"i": i} for i in range(len(completions))]
    )


def digits(prompt, completion, row):
    return int(completion)


def test_a_weighted_sum_by_hand():
    async def twice(prompt, completion, row):
        await asyncio.sleep(0)
        return 2 * row["i"]

    got = judge({"digits": digits, "twice": (twice, -0.25), "constant": (lambda p, c, r: np.float32(3), 2)})
    np.testing.assert_array_equal(got.parts["digits"], np.arange(12))
    np.testing.assert_array_equal(got.parts["twice"], 2 * np.arange(12))
    np.testing.assert_array_equal(got.total, np.arange(12) - 0.5 * np.arange(12) + 6)
    assert got.total.dtype == np.float64
    assert got.failures == {"digits": 0, "twice": 0, "constant": 0}


def test_order_does_not_depend_on_timing():
    def slow_first(prompt, completion, row):
        time.sleep(0.03 if row["i"] < 3 else 0)
        return row["i"]

    async def slow_last(prompt, completion, row):
        await asyncio.sleep(0.03 if row["i"] > 8 else 0)
        return row["i"]

    got = judge({"one": slow_first, "other": slow_last}, workers=5)
    np.testing.assert_array_equal(got.parts["one"], np.arange(12))
    np.testing.assert_array_equal(got.parts["other"], np.arange(12))


def test_calls_are_made_side_by_side_but_not_more_than_workers():
    lock, now, most = threading.Lock(), [0], [0]

    def wait(prompt, completion, row):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.03)
        with lock:
            now[0] -= 1
        return 1

    started = time.monotonic()
    judge({"wait": wait}, workers=4)
    assert most[0] == 4
    assert time.monotonic() - started < 0.8 * 12 * 0.03, "12 calls one after the other"


NONSENSE = [None, "1.0", float("nan"), float("inf"), [1.0], np.ones(2), {}, 1j]


def test_what_goes_wrong_is_counted_and_pays_what_was_agreed():
    def some(prompt, completion, row):
        if row["i"] < len(NONSENSE):
            return NONSENSE[row["i"]]
        if row["i"] == 9:
            raise KeyError("answer")
        if row["i"] == 10:
            raise SystemExit(3)
        return row["i"]

    rewards = Rewards({"some": (some, 2.0), "digits": digits}, failed=-1.0)
    got = rewards(PROMPTS, PROMPTS, [{"i": i} for i in range(12)])
    bad = [*range(len(NONSENSE)), 9, 10]
    np.testing.assert_array_equal(got.parts["some"], [-1.0 if i in bad else i for i in range(12)])
    np.testing.assert_array_equal(got.total, got.parts["some"] * 2 + np.arange(12))
    assert got.failures == {"some": len(bad), "digits": 0}
    assert (
        rewards.complaint
        == "the reward 'some' failed for 10 of 12 answers, first with TypeError: it gave None, which is no number"
    )


@pytest.mark.parametrize(
    "value", [True, 1, 1.0, np.float16(1), np.bool_(True), np.array(1), jnp.float32(1), jnp.array(True)]
)
def test_numbers_of_every_kind_are_numbers(value):
    assert number(value) == 1.0
    assert type(number(value)) is float


def hang(seconds):
    def function(prompt, completion, row):
        if row["i"] % 3 == 0:
            time.sleep(seconds)
        return 1

    return function


def hang_async(seconds):
    async def function(prompt, completion, row):
        if row["i"] % 3 == 0:
            await asyncio.sleep(seconds)
        return 1

    return function


@pytest.mark.parametrize("make", [hang, hang_async])
def test_a_late_call_costs_its_own_reward_and_no_other(make):
    started = time.monotonic()
    rewards = Rewards({"late": make(3)}, timeout=0.2, failed=-5, workers=4)
    got = rewards(PROMPTS, PROMPTS, [{"i": i} for i in range(12)])
    np.testing.assert_array_equal(got.total, [-5 if i % 3 == 0 else 1 for i in range(12)])
    assert got.failures == {"late": 4}
    assert rewards.complaint.endswith("first with TimeoutError: no answer within 0.2 s")
    assert time.monotonic() - started < 1.5


def test_a_worker_that_is_told_to_exit_does_not_vanish():
    def leave():
        raise SystemExit(3)

    started = time.monotonic()
    outcomes = in_parallel([leave, lambda: 7], timeout=5, workers=1)
    assert isinstance(outcomes[0].error, SystemExit)
    assert outcomes[1] == (7, None)
    assert time.monotonic() - started < 4


def test_a_single_worker_that_hangs_is_replaced():
    outcomes = in_parallel([lambda: time.sleep(3), lambda: 7], timeout=0.1, workers=1)
    assert isinstance(outcomes[0].error, TimeoutError)
    assert outcomes[1] == (7, None)
    assert in_parallel([], timeout=1, workers=2) == []


def test_everything_hanging_costs_little_more_than_one_timeout():
    def never(prompt, completion, row):
        time.sleep(5)

    count, started = 64, time.monotonic()
    got = Rewards({"never": never}, timeout=0.3, workers=8)(["?"] * count, ["!"] * count)
    # all workers stuck for a quarter of 0.3 s, then twice as many, and so on: 8 + 8 + 16 + 32 after 0.225 s
    assert time.monotonic() - started < 1.5, "8 rounds of 0.3 s would be 2.4"
    assert got.failures == {"never": count}


def test_a_coroutine_that_blocks_does_not_spoil_the_next_batch():
    async def rude(prompt, completion, row):
        if completion == "block":
            time.sleep(2)  # no await: the loop stands still
        return 1

    rewards = Rewards({"rude": rude}, timeout=0.2)
    assert rewards(["?"], ["block"]).failures == {"rude": 1}
    time.sleep(0.15)  # the loop is found to be blocked
    assert rewards(["?"] * 3, ["fine"] * 3).failures == {"rude": 0}


def test_coroutines_share_one_loop_over_all_batches():
    loops = set()

    async def remember(prompt, completion, row):
        loops.add(asyncio.get_running_loop())
        return 0

    rewards = Rewards({"remember": remember}, workers=4)
    for _ in range(3):
        rewards(PROMPTS, PROMPTS)
    assert len(loops) == 1, "what a client keeps open belongs to its loop"


def test_a_late_coroutine_is_cancelled():
    cancelled = threading.Event()

    async def patient(prompt, completion, row):
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    Rewards({"patient": patient}, timeout=0.05)(["?"], ["!"])
    assert cancelled.wait(1)


def test_hung_functions_do_not_keep_the_process_from_ending():
    program = """
import time
from bellmax.language.in_parallel import in_parallel
print(in_parallel([lambda: time.sleep(60), lambda: 7], 0.1, 2)[1].value, flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "7\n"


def test_parts_are_checked_before_any_work():
    with pytest.raises(ValueError, match="at least one function"):
        Rewards({})
    with pytest.raises(TypeError, match=r"parts\['a'\]: it must take \(prompt, completion, row\)"):
        Rewards({"a": lambda completion: 1.0})
    with pytest.raises(TypeError, match="give a function"):
        Rewards({"a": 3})
    with pytest.raises(ValueError, match="the weight nan"):
        Rewards({"a": (digits, float("nan"))})
    with pytest.raises(ValueError, match="timeout = 0"):
        Rewards({"a": digits}, timeout=0)
    with pytest.raises(ValueError, match="workers = 0"):
        Rewards({"a": digits}, workers=0)
    with pytest.raises(ValueError, match="2 prompts, 1 completions and 2 rows"):
        Rewards({"a": digits})(["a", "b"], ["1"])


def test_batches_are_merged():
    one = Rewarded(np.arange(3.0), {"a": np.arange(3.0)}, {"a": 1})
    two = Rewarded(np.arange(3.0) + 10, {"a": np.arange(3.0) + 20}, {"a": 2})
    got = one.merged(two, [0, 4, 2])
    np.testing.assert_array_equal(got.total, [0, 11, 2])
    np.testing.assert_array_equal(got.parts["a"], [0, 21, 2])
    assert got.failures == {"a": 3}


@pytest.mark.parametrize(
    ("name", "completion", "reward"),
    [
        ("length", "four", 4),
        ("contains:please", "yes, please", 1),
        ("contains:please", "yes", 0),
        ("contains:a:b", "a:b", 1),
        ("json", '{"a": [1, null]}', 1),
        ("json", "{'a': 1}", 0),
        ("json", "NaN", 0),
        ("json", "1 2", 0),
        ("json", "[" * 100_000, 0),
        ("format", "<answer>4</answer>", 1),
        ("format", "4", 0),
        ("reverse", "cba", 1),
        ("reverse", "abc", 0),
    ],
)
def test_rewards_by_name(name, completion, reward):
    assert find_reward(name)("abc=", completion, {"answer": "cba"}) == reward
    assert Rewards({"it": name})(["abc="], [completion], [{"answer": "cba"}]).total == [reward]


def test_rewards_of_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "my_rewards_here.py").write_text("number = 3\ndef short(p, c, r):\n    return -len(c)\n")
    (tmp_path / "my_broken_rewards.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert find_reward("my_rewards_here:short")("", "abc", {}) == -3
    for name, message in {
        "lenght": "no reward is called 'lenght': did you mean 'length'",
        "revers": "did you mean 'reverse'",
        "zzzzz": "there are length, json, format, copy",
        "contains:": "looks for no word",
        "my_rewards_here:shrt": "has nothing called 'shrt': did you mean 'my_rewards_here:short'",
        "my_rewards_here:number": "is 3: it must be a function",
        "no_such_module:short": "there is no module 'no_such_module'",
        "my_broken_rewards:short": "importing my_broken_rewards fails: ZeroDivisionError",
    }.items():
        with pytest.raises(UnknownReward, match=message):
            find_reward(name)


def test_a_reward_model_judges_the_tokens_that_were_written():
    scored, texts = tiny.critic(), tiny.texts(tiny.rows(count=4), after=2)
    everywhere = np.asarray(jax.jit(lambda scored, texts: scored(texts))(scored, texts))
    said = everywhere[range(4), [np.flatnonzero(row)[-1] for row in texts.segments]]
    assert np.ptp(said) > 0.1
    rewards = Rewards({"model": (ModelReward(scored, Compute(rows=2)), 0.5), "one": lambda p, c, r: 1.0})
    assert rewards.judges_tokens
    got = rewards(PROMPTS[:4], ["never read"] * 4, None, texts)
    np.testing.assert_allclose(got.parts["model"], said, rtol=1e-5)
    np.testing.assert_allclose(got.total, 0.5 * said + 1, rtol=1e-5)
    with pytest.raises(ValueError, match="the reward 'model' judges tokens: pass them"):
        rewards(PROMPTS[:4], PROMPTS[:4])
    with pytest.raises(ValueError, match=r"numbers of shape \(4,\): it must be \(3,\)"):
        rewards(PROMPTS[:3], PROMPTS[:3], None, texts)


def test_a_reward_model_that_gives_nan_has_failed():
    class Broken:
        judges_tokens = True

        def __call__(self, texts):
            return jnp.array([1.0, jnp.nan, 3.0])

    got = Rewards({"broken": Broken()}, failed=-2)(PROMPTS[:3], PROMPTS[:3], None, object())
    np.testing.assert_array_equal(got.total, [1, -2, 3])
    assert got.failures == {"broken": 1}


def test_an_ensemble_takes_the_spread_off():
    texts = tiny.texts(tiny.rows(count=3))
    smaller = ModelConfig(tiny.VOCABULARY, width=8, layers=1, heads=2, hidden=8)
    models = [tiny.critic(seed=1), tiny.critic(seed=2), tiny.critic(smaller, seed=3)]
    said = np.stack([ModelReward(model)(texts) for model in models])
    assert said.std(0).min() > 0.01
    got = EnsembleReward(models, caution=0.7)(texts)
    np.testing.assert_allclose(got, said.mean(0) - 0.7 * said.std(0), rtol=1e-4)
    np.testing.assert_allclose(cautious([[1.0, 5.0], [3.0, 5.0]], 2.0), [2 - 2 * 1, 5])
    with pytest.raises(ValueError, match="give at least 2"):
        EnsembleReward(models[:1])
    with pytest.raises(ValueError, match="caution = -1"):
        EnsembleReward(models, caution=-1)


def test_verifying_costs_next_to_nothing():
    task = Reverse()
    rows = task.rows(0, 512)
    rewards = Rewards({"reverse": task.reward, "format": "format"})
    columns = [row["prompt"] for row in rows], [row["completion"] for row in rows], rows
    assert rewards(*columns).parts["reverse"].mean() == 1
    spent = []
    for _ in range(5):
        started = time.perf_counter()
        rewards(*columns)
        spent.append(time.perf_counter() - started)
    assert min(spent) < 0.5, "1,024 calls"
