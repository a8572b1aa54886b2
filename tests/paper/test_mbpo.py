"""MBPO's update is that of Janner et al., 2019 (arXiv 1906.08253, algorithm 2), in NumPy; its models' that of PETS."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.core import Algorithm, Decision, Env, Outcome, Spec
from bellmax.drivers import hosted, ingraph
from bellmax.envs.adaptors.as_gymnasium import AsGymnasium
from bellmax.envs.names import find
from bellmax.maths.chance import uniform
from bellmax.models.ensemble import State as Learned
from bellmax.spaces import Box
from tests.paper.by_hand import assert_same, by_name, quickly
from tests.paper.control_by_hand import ACTION, Adam, adam_of, dense, layers, mean, replayed, slopes

SPEC = Spec(Box((3,)), ACTION)
MODELS = bm.Ensemble(members=2, elites=1, hidden=(3,), learning_rate=0.02, weight_decay=0.1)


def begun(models):
    """A state of random numbers, under way for 3 gradient steps."""
    draw = np.random.default_rng(0)

    def fill(path, x):
        name = jax.tree_util.keystr(path)
        if not np.issubdtype(x.dtype, np.floating):
            return np.full(x.shape, 3, x.dtype)
        positive = ".nu" in name or ".variance" in name
        return np.float32(draw.uniform(0.05, 2.0, x.shape) if positive else 0.6 * draw.normal(size=x.shape))

    shapes = jax.eval_shape(lambda key: models.init(key, SPEC), jax.random.key(0))
    state = jax.tree_util.tree_map_with_path(fill, shapes)
    high = np.abs(state.members.high)
    return state._replace(members=eqx.tree_at(lambda x: (x.low, x.high), state.members, (-1 - high, high)))


# --- the models -------------------------------------------------------------------------------------------------------


def softplus(x):
    return np.log1p(np.exp(x))


def said(params, x):
    """Mean, log-variance and the logit of an end, of one member for rows [batch, inputs]."""
    for k in range(layers(params, ".mlp")):
        x = dense(params, f".mlp.layers[{k}]", x)
        x = x / (1 + np.exp(-x))  # swish
    out, n = dense(params, ".head", x), len(params[".low"])
    log_var = params[".high"] - softplus(params[".high"] - out[:, n : 2 * n])
    return out[:, :n], params[".low"] + softplus(log_var - params[".low"]), out[:, -1]


def in_units(moments, x):
    return (x - np.asarray(moments.mean, np.float64)) / np.sqrt(np.asarray(moments.variance, np.float64) + 1e-8)


def rows_of(state, batch):
    """What goes into the models and what should come out, and which steps terminated: [batch, ...]."""
    x = in_units(state.inputs, np.concatenate([batch.obs[0], batch.action[0]], -1)).clip(-10, 10)
    change = np.concatenate([batch.next_obs[0] - batch.obs[0], batch.reward[0][:, None]], -1)
    return x, in_units(state.targets, change), batch.discount[0] == 0


def member_losses(params, x, y, ends):
    """-log N(y; mean, var) - log p(end), [batch]."""
    mu, log_var, logit = said(params, x)
    likelihood = ((y - mu) ** 2 / np.exp(log_var) + log_var + np.log(2 * np.pi)).sum(-1) / 2
    return likelihood + np.where(ends, softplus(-logit), softplus(logit))


def test_two_gradient_steps_of_the_models_are_those_of_the_pseudo_code():
    state, learn = begun(MODELS), quickly(MODELS.learn)
    params, adam, losses = by_name(state.members), Adam(state.opt_state), np.float64(state.losses)
    for seed in (2, 3):
        batch, key = replayed(seed, ACTION, 1), jax.random.key(seed)
        held = np.arange(12) % 3 == 0
        x, y, ends = rows_of(state, batch)
        counts = np.float64(jax.random.exponential(key, (12, 2)))
        taught, withheld = batch.weight[0] * ~held, batch.weight[0] * held

        def loss(params, x=x, y=y, ends=ends, counts=counts, taught=taught):
            total = 0.0
            for i in range(2):
                one = {name: value[i] for name, value in params.items()}
                total += mean(member_losses(one, x, y, ends), taught * counts[:, i])
                total += 0.01 * (one[".high"] - one[".low"]).sum()
                total += sum(0.1 * (value**2).sum() / 2 for name, value in one.items() if "weight" in name)
            return total

        ones = [{name: value[i] for name, value in params.items()} for i in range(2)]
        each = [member_losses(one, x, y, ends) for one in ones]
        now = np.array([mean(one, withheld) for one in each])
        count = {2: 3, 3: 4}[seed]
        losses += (now - losses) / (count + 1)
        means = np.array([said(one, x)[0] for one in ones])
        expected = {
            "model_loss": np.mean([mean(one, taught) for one in each]),
            "held_out_loss": now[np.argmin(losses)],
            "disagreement": mean(np.sqrt(((means - means.mean(0)) ** 2).mean((0, 2))), batch.weight[0]),
        }
        params = adam.step(params, slopes(loss, params), 0.02)
        before = jax.tree.map(lambda x: x[0], batch)
        state, metrics = learn(state, before, held, key)
        assert_same({name: np.asarray(x) for name, x in metrics.items()}, expected)
        assert_same(by_name(state.members), params)
        assert_same(adam_of(state.opt_state), adam.state())
        np.testing.assert_allclose(state.losses, losses, rtol=1e-4)


# --- what is imagined, and learned from -------------------------------------------------------------------------------


class Recorder(Algorithm):
    """Does something of what it sees, by chance; remembers the batch that it last learned from."""

    experience: bm.Replay = bm.Replay(64, batch=8, updates=2)

    def init(self, key, spec):
        rows = lambda *shape: jnp.zeros((self.experience.batch, *shape))
        return {"obs": rows(3), "action": rows(2), "reward": rows(), "next_obs": rows(3), "discount": rows()} | {
            "weight": rows(),
            "told": rows(),
            "steps": rows(),
        }

    def act(self, state, obs, key, memory=None):
        action = jnp.array([0.0, 5.0]) + obs[:2] + 0.3 * jax.random.normal(key, (2,))
        return Decision(action, {"told": 10 * obs[0]})

    def update(self, state, batch, key):
        new = {name: getattr(batch, name)[0] for name in state if name not in ("told", "steps")}
        return new | {name: batch.extras[name][0] for name in ("told", "steps")}, {"loss": batch.reward.mean()}


MBPO = bm.MBPO(
    Recorder(), models=MODELS, model_start=0, rollouts=3, rollout=3, grows_until=90.0, kept=16, real=0.3
)  # after 60 steps: k = 1 + 2 * 60 / 90 = 2.3, so 2 steps; 0.3 * 8 = 2.4, so 3 real ones


def slow_rollouts(models, batch, key):
    """Steps of the branched rollouts, by time and then by rollout: {name: rows}."""
    start_key, rollout_key = jax.random.split(key)
    share = np.cumsum(batch.weight[0]) / batch.weight[0].sum()
    starts = [int((share <= u).sum()) for u in np.asarray(jax.random.uniform(start_key, (3,)), np.float64)]
    obs, alive, found = np.float64(batch.obs[0][starts]), [True] * 3, []
    one = {name: value[np.argmin(models.losses)] for name, value in by_name(models.members).items()}  # the only elite
    for t, now in enumerate(jax.random.split(rollout_key, 3)):
        act_keys, step_keys = (jax.random.split(k, 3) for k in jax.random.split(now))
        for i in range(3):
            told, seen = 10 * obs[i][0], obs[i].copy()
            act_key = jax.random.split(act_keys[i])[0]
            action = np.array([0, 5]) + seen[:2] + 0.3 * np.asarray(jax.random.normal(act_key, (2,)), np.float64)
            noise_key, chance_key = jax.random.split(step_keys[i])
            x = in_units(models.inputs, np.concatenate([seen, action])[None]).clip(-10, 10)
            mu, log_var, logit = (part[0] for part in said(one, x))
            drawn = mu + np.exp(log_var / 2) * np.asarray(jax.random.normal(noise_key, (4,)), np.float64)
            spread = np.sqrt(np.float64(models.targets.variance) + 1e-8)
            change = np.float64(models.targets.mean) + spread * drawn
            last = uniform(chance_key, (2,))[1] < 1 / (1 + np.exp(-logit))
            if alive[i] and t < 2:
                step = {"obs": seen, "action": action, "reward": change[3], "next_obs": seen + change[:3]}
                found.append(step | {"discount": float(not last), "told": told})
            alive[i], obs[i] = alive[i] and not last, seen + change[:3]
    return {name: np.array([step[name] for step in found]) for name in found[0]}


def test_rollouts_branch_from_replayed_states_and_the_learner_gets_them_with_some_real_steps():
    batch, key = replayed(5, ACTION, 1), jax.random.key(5)
    extras = {"steps": np.full((1, 12), 60.0), "held_out": np.zeros((1, 12), bool), "told": 7.0 + np.zeros((1, 12))}
    batch = batch._replace(extras=extras)
    state = MBPO.init(jax.random.key(0), SPEC)
    state = state._replace(models=begun(MODELS))
    after, metrics = quickly(MBPO.update)(state, batch, key)
    model_key, world_key, mixed_key, _ = jax.random.split(key, 4)

    models, _ = quickly(MODELS.learn)(begun(MODELS), jax.tree.map(lambda x: x[0], batch), np.zeros(12, bool), model_key)
    expected = slow_rollouts(models, batch, world_key)
    count = len(expected["reward"])
    assert 3 <= count < 6, "some ended early, or the test shows less than it should"
    kept = {name: getattr(after.imagined.steps, name, None) for name in expected}
    kept["told"] = after.imagined.steps.extras["told"]
    assert_same({name: np.asarray(x)[:count] for name, x in kept.items()}, expected, 1e-3, 1e-4)
    assert metrics["imagined_steps"] == after.imagined.held == count

    which = np.asarray(jax.random.randint(mixed_key, (8,), 0, count))
    for name, value in after.learner.items():
        real = batch.extras[name] if name in batch.extras else getattr(batch, name)
        imagined = {"steps": np.full(count, 60), "weight": np.ones(count)}.get(name, expected.get(name))
        mixed = np.concatenate([real[0][:3], imagined[which[3:]]])
        np.testing.assert_allclose(value, mixed, rtol=1e-3, atol=1e-4, err_msg=name)

    again, _ = quickly(MBPO.update)(after, batch, key)  # the second of the round's two updates imagines nothing
    np.testing.assert_array_equal(again.imagined.steps.reward, after.imagined.steps.reward)
    assert again.models.learned == after.models.learned + 1


def test_before_the_models_have_learned_enough_all_is_real():
    waits = MBPO.replace(model_start=100)
    extras = {"steps": np.full((1, 12), 60.0), "held_out": np.zeros((1, 12), bool), "told": np.zeros((1, 12))}
    batch = replayed(5, ACTION, 1)._replace(extras=extras)
    state = waits.init(jax.random.key(0), SPEC)._replace(models=begun(MODELS))
    after, metrics = quickly(waits.update)(state, batch, jax.random.key(5))
    np.testing.assert_array_equal(after.learner["reward"], np.float32(batch.reward[0][:8]))
    assert metrics["imagined_steps"] == 0


def test_rollouts_grow_as_in_the_paper():
    grows = MBPO.replace(rollout=5, grows_from=100.0, grows_until=200.0)
    assert [float(grows.length(x)) for x in (0, 99, 124, 125, 199, 200, 10**6)] == [1, 1, 1, 2, 4, 5, 5]
    at_once = MBPO.replace(rollout=5, grows_until=0.0)
    assert [float(at_once.length(x)) for x in (1, 1000)] == [5, 5]


def test_a_share_of_the_steps_is_held_out_by_chance_and_greedy_actions_are_the_learners():
    state, obs = MBPO.init(jax.random.key(0), SPEC), np.ones(3, np.float32)
    decisions = jax.vmap(MBPO.act, (None, None, 0))(state, obs, jax.random.split(jax.random.key(1), 2000))
    assert np.mean(decisions.extras["held_out"]) == pytest.approx(0.2, abs=0.04)
    assert decisions.extras["told"][0] == 10


def test_the_moments_take_in_only_what_is_trained_on():
    batch = replayed(5, ACTION, 1)
    held = np.arange(12)[None] % 2 == 0
    extras = {"held_out": held, "told": np.zeros((1, 12))}
    after = MBPO.observe(MBPO.init(jax.random.key(0), SPEC), batch._replace(extras=extras))
    counted = (batch.weight[0] > 0) & ~held[0]
    learned: Learned = after.models
    np.testing.assert_allclose(learned.targets.mean[3], batch.reward[0][counted].mean(), rtol=1e-5)
    np.testing.assert_allclose(learned.inputs.variance[:3], batch.obs[0][counted].var(0), rtol=1e-4)


class Pushed(Env):
    """Leaves nothing to chance: three numbers that actions push, from 0 on, for four steps."""

    spec = SPEC

    def reset(self, key):
        return jnp.zeros(4), jnp.zeros(3)

    def step(self, env_state, action, key):
        obs, time = 0.5 * env_state[:3] + 0.1 * jnp.array([1, -1, 2]) * action.sum(), env_state[3] + 1
        now = Outcome(obs, -jnp.square(obs).sum(), jnp.float32(1), time == 4)
        return jnp.append(obs, time), now


def test_the_two_drivers_are_the_same_run():
    algorithm, key = MBPO.replace(learner=Recorder(bm.Replay(64, batch=8, updates=2, start=6))), jax.random.key(0)
    run = jax.jit(ingraph.start, static_argnums=3)(algorithm, Pushed(), key, 2)
    run, _ = ingraph.advance(algorithm, Pushed(), run, jnp.int32(12), jnp.int32(10**9))
    drive = hosted.Drive(algorithm, find(lambda: AsGymnasium(Pushed()), vectorization="sync").vector(2, seed=0), key)
    drive.advance(12, 10**9)
    assert run.state.imagined.held > 10
    for one, other in zip(jax.tree.leaves(run.state), jax.tree.leaves(drive.run.state), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"MBPO.learner = DQN\(experience=Prioritised.*give it Replay with n=1"):
        bm.MBPO(bm.DQN(experience=bm.Prioritised()))
    with pytest.raises(ValueError, match=r"MBPO.learner = SAC\(experience=Replay.*n=2.*models foresee single steps"):
        bm.MBPO(bm.SAC(experience=bm.Replay(n=2)))
    with pytest.raises(ValueError, match=r"MBPO.kept = 100: one time of imagining is 400 x 1 steps"):
        bm.MBPO(bm.SAC(), kept=100)
