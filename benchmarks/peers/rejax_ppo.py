"""PPO of Rejax on gymnax's CartPole-v1: one JSON argument in, one JSON line out.

Runs in an environment of its own and imports nothing of bellmax. The argument holds the settings of
benchmarks/settings.py, with "env", "seed" and "episodes" (of the greedy evaluation afterwards, not timed). The
environment variable PEER_CORES keeps it to so many cores, where the system can.

Nothing but training is timed: Rejax's own evaluations, which it makes inside the run, are taken out. Rejax has no
schedule of the clip range, and shortens gradients element by element rather than by their norm.
"""

import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import optax
from rejax import PPO
from rejax.evaluate import evaluate


def main(job: dict[str, Any]) -> dict[str, Any]:
    keep_to_cores(os.environ.get("PEER_CORES"))  # before JAX starts its threads
    agent = algorithm(job)
    train = jax.jit(lambda key: agent.train(key)[0])
    key = jax.random.PRNGKey(job["seed"])
    start = time.perf_counter()
    compiled = train.lower(key).compile()
    compile_seconds = time.perf_counter() - start
    jax.block_until_ready(compiled(key))  # the first call also allocates
    start = time.perf_counter()
    state = jax.block_until_ready(compiled(key))
    seconds = time.perf_counter() - start
    steps = int(state.global_step)
    return {
        "steps": steps,
        "seconds": seconds,
        "steps_per_second": steps / seconds,
        "compile_seconds": compile_seconds,
        "greedy_return": greedy_return(agent, state, job),
        "seed": job["seed"],
        "device": jax.devices()[0].device_kind,
        "versions": {name: version(name) for name in ("rejax", "gymnax", "jax", "jaxlib", "flax", "optax", "numpy")},
    }


def keep_to_cores(count: str | None) -> None:
    if count and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(count)])


def algorithm(job: dict[str, Any]) -> PPO:
    updates = job["steps"] // (job["num_envs"] * job["length"]) * job["epochs"] * job["minibatches"]
    agent = PPO.create(
        env=job["env"],
        agent_kwargs={"hidden_layer_sizes": tuple(job["hidden"]), "activation": job["activation"]},
        total_timesteps=job["steps"],
        eval_freq=job["steps"],
        skip_initial_evaluation=True,
        num_envs=job["num_envs"],
        num_steps=job["length"],
        num_epochs=job["epochs"],
        num_minibatches=job["minibatches"],
        learning_rate=optax.linear_schedule(job["learning_rate"], 0.0, updates),
        gamma=job["gamma"],
        gae_lambda=job["gae_lambda"],
        clip_eps=job["clip"],
        vf_coef=job["value_weight"],
        ent_coef=job["entropy_weight"],
        max_grad_norm=job["max_grad_norm"],
    )
    return agent.replace(eval_callback=lambda agent, state, key: ())


def greedy_return(agent: PPO, state: Any, job: dict[str, Any]) -> float | None:
    if not job["episodes"]:
        return None

    def act(obs: jax.Array, key: jax.Array) -> jax.Array:
        """The likelier of the two actions; Rejax itself evaluates by sampling."""
        policy = agent.actor.apply(state.actor_ts.params, obs[None], method="_action_dist")
        return jnp.argmax(policy.logits[0])

    key = jax.random.PRNGKey(job["seed"] + 1_000_000)
    _, returns = evaluate(act, key, agent.env, agent.env_params, job["episodes"])
    return float(returns.mean())


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
