"""With a device for the host's memory (two are needed): python -m tests.drivers.kept_apart FOLDER"""

import sys

import jax
import numpy as np
from tests.drivers.listener import Listener

import bellmax as bm
from bellmax import memory
from bellmax.drivers.hosted import Drive
from bellmax.envs.names import find

BUFFERS = {
    "replay": bm.Replay(200, batch=8, start=20, n=2, updates=3),
    "prioritised": bm.Prioritised(200, batch=8, start=20, updates=2, beta=0.5),
}


def learner(buffer):
    if buffer == "heard":
        return Listener(BUFFERS["replay"], actions=2)
    return bm.DQN(hidden=(8,), experience=BUFFERS[buffer], exploration=bm.EpsilonGreedy(0.3))


def driven(buffer, overlap, host, run=None):
    envs = find("CartPole-v1").vector(2, 0)
    drive = Drive(learner(buffer), envs, jax.random.key(0), run, overlap, host)
    drive.compile()
    total = drive.advance(60, 10**9)
    places = {str(leaf.devices()) for leaf in jax.tree.leaves(jax.tree.unflatten(drive._tree, drive._leaves).buffer)}
    assert places == {str({jax.devices()[0] if host is None else host})}, places
    return drive, total


def numbers(tree):
    is_key = lambda x: jax.dtypes.issubdtype(getattr(x, "dtype", int), jax.dtypes.prng_key)
    return [np.asarray(jax.random.key_data(x) if is_key(x) else x) for x in jax.tree.leaves(tree)]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(numbers(one), numbers(other), strict=True))


def main(folder):
    host = jax.devices()[1]
    for buffer in (*BUFFERS, "heard"):
        for overlap in (False, True) if buffer in BUFFERS else (False,):
            (one, first), (other, second) = driven(buffer, overlap, None), driven(buffer, overlap, host)
            assert same(one.run, other.run)
            assert same(first, second)
            again = [driven(buffer, overlap, where, drive.run)[0] for where, drive in ((None, one), (host, other))]
            assert same(again[0].run, again[1].run)
            assert not same(one.run, again[0].run), "the control: it has gone on"
    # The front door finds the place by itself where the device is too small.
    memory.device_bytes = lambda: 1000
    said = {"run_folder": folder, "display": "quiet", "track": (), "num_envs": 2, "recipe": "none"}
    run = bm.train(learner("prioritised"), "CartPole-v1", steps=100, name="small", **said)
    assert bm.resume(f"{folder}/small", steps=200, display="quiet").plan.steps == 200
    memory.device_bytes = memory.host_bytes
    whole = bm.train(learner("prioritised"), "CartPole-v1", steps=100, name="large", **said)
    assert same(run.tree, whole.tree)
    print("the same")


if __name__ == "__main__":
    main(sys.argv[1])
