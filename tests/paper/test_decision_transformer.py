"""Decision Transformer: an update and an episode against algorithm 1 in NumPy, token by token."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import Dataset, DecisionTransformer
from bellmax.core import Outcome, Spec, Transition
from bellmax.spaces import Box, Discrete
from tests.paper.by_hand import assert_same, by_name, length_of, quickly, shortened
from tests.paper.control_by_hand import ACTION, HALF, MIDDLE, Adam, adam_of, begun, dense, slopes, unit

STEPS, BATCH = 3, 2
SPEC, CHOICES = Spec(Box((2,)), ACTION), Spec(Box((2,)), Discrete(3))
SMALL = DecisionTransformer(
    experience=Dataset(batch=BATCH, n=STEPS, pad="before"), width=4, layers=1, heads=2, longest=4, scale=2.0,
    dropout=0.0, warmup=200, learning_rate=0.02, weight_decay=0.3, max_grad_norm=0.5,
)  # fmt: skip


def normed(params, name, x):
    return params[f"{name}.scale"] * (x - x.mean()) / np.sqrt(x.var() + 1e-6) + params[f"{name}.offset"]


def attention(params, name, tokens, real):
    """Head by head, each token reads itself and the real ones before it."""
    width = len(tokens[0])
    out, parts = [], [np.split(dense(params, f"{name}.reading", x), 3) for x in tokens]
    for i in range(len(tokens)):
        read = np.zeros(width)
        for head in np.split(np.arange(width), 2):
            seen = [j for j in range(i + 1) if real[j] or j == i]
            score = np.array([parts[i][0][head] @ parts[j][1][head] for j in seen]) / np.sqrt(len(head))
            share = np.exp(score - score.max()) / np.exp(score - score.max()).sum()
            read[head] = sum(s * parts[j][2][head] for s, j in zip(share, seen))
        out.append(dense(params, f"{name}.writing", read))
    return out


def predictions(params, seen, to_go, obs, action, time, real):
    """One stretch [steps, ...] -> what is read from the token of each observation."""
    tokens = []
    for k in range(len(time)):
        state = (obs[k] - seen[".mean"]) / np.sqrt(seen[".variance"] + 1e-8)
        done = unit(action[k]) if np.ndim(action[k]) else np.eye(3)[int(action[k])]
        when = params[".times"][min(time[k], 3)]
        for name, x in (("return", np.array([to_go[k] / 2.0])), ("obs", state), ("action", done)):
            tokens.append(normed(params, ".norm", dense(params, f".embed_{name}", x) + when))
    block, real = ".transformer.blocks[0]", np.repeat(real, 3)
    read = attention(params, block, [normed(params, f"{block}.attention_norm", x) for x in tokens], real)
    tokens = [x + y for x, y in zip(tokens, read)]
    for i, x in enumerate(tokens):
        up = np.maximum(dense(params, f"{block}.up", normed(params, f"{block}.dense_norm", x)), 0)
        tokens[i] = normed(params, ".transformer.norm", x + dense(params, f"{block}.down", up))
    head = ".head" if ".head.weight" in params else ".head.dense"
    return [dense(params, head, x) for x in tokens[1::3]]


def surprise(outputs, action):
    if np.ndim(action):
        return np.mean((np.tanh(outputs) - unit(action)) ** 2)
    return np.log(np.exp(outputs).sum()) - outputs[int(action)]


def stretches(seed, space):
    """Windows [steps, batch], the first filled up in front."""
    draw, rows = np.random.default_rng(seed), (STEPS, BATCH)
    obs, reward = draw.normal(size=(*rows, 2)), draw.normal(size=rows)
    action = (
        draw.integers(3, size=rows) if isinstance(space, Discrete) else MIDDLE + HALF * draw.uniform(-1, 1, (*rows, 2))
    )
    weight = np.ones(rows)
    weight[:2, 0], weight[0, 1] = 0, 0
    time = np.arange(STEPS)[:, None] + np.array([0, 4])  # past the longest, too
    extras = {"return_to_go": draw.normal(size=rows), "time": time, "steps": np.full(rows, 60.0)}
    in_float32 = lambda x: np.float64(np.float32(x)) if x.dtype == np.float64 else x
    return jax.tree.map(in_float32, Transition(obs, action, reward, np.ones(rows), weight < 0, obs, extras, weight))


def state_of(spec):
    state = begun(SMALL, spec, 1)
    return state, {".mean": np.float64(state.seen[0].mean), ".variance": np.float64(state.seen[0].variance)}


@pytest.mark.parametrize("spec", [SPEC, CHOICES], ids=["numbers", "choices"])
def test_an_update(spec):
    state, seen = state_of(spec)
    params, adam, update = by_name(state.network), Adam(state.opt_state[0][1]), quickly(SMALL.update)
    batch = stretches(2, spec.action)

    def loss(params):
        total, count = 0.0, 0
        for i in range(BATCH):
            rows = [np.asarray(x)[:, i] for x in (batch.obs, batch.action, batch.extras["time"], batch.weight > 0)]
            outputs = predictions(params, seen, batch.extras["return_to_go"][:, i], *rows)
            for k in range(STEPS):
                if batch.weight[k, i]:
                    total, count = total + surprise(outputs[k], batch.action[k, i]), count + 1
        return total / count

    grads, rate = slopes(loss, params), 0.02 * min(51 / 200, 1)
    expected = {"loss": loss(params), "grad_norm": length_of(grads)}
    decayed = {name: rate * 0.3 * x for name, x in params.items()}
    params = {name: x - decayed[name] for name, x in adam.step(params, shortened(grads, 0.5), rate).items()}
    state, metrics = update(state, batch, jax.random.key(2))
    assert_same({name: np.asarray(x) for name, x in metrics.items()}, expected)
    assert_same(by_name(state.network), params)
    assert_same(adam_of(state.opt_state[0][1]), adam.state())
    assert float(state.steps) == 60
    assert expected["grad_norm"] > 0.5, "it was cut"


@pytest.mark.parametrize("spec", [SPEC, CHOICES], ids=["numbers", "choices"])
def test_an_episode(spec):
    """The last three steps are read, each with the return that was asked for then: 7, less what was paid since."""
    state, seen = state_of(spec)
    algorithm, params = SMALL.replace(target_return=7.0), by_name(state.network)
    greedy, draw = quickly(algorithm.greedy), np.random.default_rng(5)
    all_obs, paid = np.float32(draw.normal(size=(5, 2))), [1.0, 0.5, -2.0, 4.0, 0.25]
    memory, actions = algorithm.begin(state, all_obs[0], jax.random.key(0)), []
    asked = [7.0, 6.0, 5.5, 7.5, 3.5]
    for step, reward in enumerate(paid):
        decision = greedy(state, all_obs[step], jax.random.key(step), memory)
        last = slice(max(0, step - 2), step + 1)
        pad = np.zeros_like(np.asarray(decision.action), np.float64)
        rows = all_obs[last], [*actions, pad][last], np.arange(step + 1)[last], np.ones(min(step + 1, 3), bool)
        outputs = predictions(params, seen, asked[last], *rows)[-1]
        expected = MIDDLE + HALF * np.tanh(outputs) if spec is SPEC else outputs.argmax()
        np.testing.assert_allclose(decision.action, expected, rtol=1e-4, atol=1e-4)
        actions.append(np.asarray(decision.action, np.float64))
        outcome = Outcome(all_obs[step], jnp.float32(reward), jnp.float32(1), jnp.bool_(False))
        memory = algorithm.hear(state, decision.memory, outcome)
    assert float(memory.asked) == 3.25


def test_what_is_asked_for_if_nothing_is_said():
    """Two episodes, worth 3 and -5; the largest return-to-go is that of the second's later steps, -6."""
    state = state_of(CHOICES)[0]._replace(best=jnp.finfo(jnp.float32).min, largest=jnp.zeros(()))
    to_go, time = jnp.array([3.0, 4.0, -5.0, -6.0]), jnp.array([0, 1, 0, 1])
    none = jnp.zeros(4)
    steps = Transition(
        jnp.zeros((4, 2)), none, none, none, none > 0, none, {"return_to_go": to_go, "time": time}, none + 1
    )
    steps = jax.tree.map(lambda x: x[:, None], steps)
    state = SMALL.observe(state, steps)
    assert (float(state.best), float(state.largest)) == (3.0, 6.0)
    again = SMALL.observe(state, jax.tree.map(lambda x: x[:0], steps))
    assert (float(again.best), float(again.largest)) == (3.0, 6.0), "no steps change nothing"
    asked = lambda algorithm: float(algorithm.begin(state, jnp.zeros(2), jax.random.key(0)).asked)
    assert (asked(SMALL), asked(SMALL.replace(target_return=-4.0))) == (3.0, -4.0)
