"""Monte Carlo tree search (Coulom, 2006; Kocsis & Szepesvari, 2006, https://doi.org/10.1007/11871842_29): UCT.

It learns nothing between moves. For each move it grows a tree from the position: go down by

    argmax_a Q(s,a) + c sqrt(ln N(s) / N(s,a))                                            (UCB1 in every node)

untried moves first, until a position that is new; play from there to the end at random; and add what came out to the
mean Q of every move on the way, its sign turned wherever the turn changed (the transition's discount of -1). After
`simulations` of these the move most often tried is made.

`prove` is MCTS-Solver (Winands et al., 2008, https://doi.org/10.1007/978-3-540-87608-3_3): a move that ends the game is
proven won or lost, a position is won when one of its moves is and lost when all are, and what is proven lost is not
looked at again. It is for games whose outcomes are won, drawn and lost, and of whose rules nothing is left to chance.

The tree is mctx's (https://github.com/google-deepmind/mctx); what is ours is the choice of a move, the random play and
the proofs.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mctx
from jax import Array

from bellmax.core import Env, Frozen
from bellmax.maths.chance import choose
from bellmax.maths.distributions import ILLEGAL
from bellmax.maths.exploration import UpperConfidence, evenly, greedy
from bellmax.maths.search import is_legal, proven_value
from bellmax.maths.tables import legal_of
from bellmax.ranges import Count
from bellmax.spaces import Simulated


class Found(NamedTuple):
    """What a search came to."""

    visits: Array  # [moves], how often each was tried
    q: Array  # [moves], the mean outcome behind each, for the side to move; 0 where it was never tried
    proven: Array  # [moves], 1 won and -1 lost for the side to move, 0 not known; all 0 without `prove`


class MCTS(Frozen):
    """The move that looks best after many games played in the mind."""

    rules: Env  # the environment to search in
    simulations: Count = 1_000  # games played in the mind before a move
    exploration: UpperConfidence = UpperConfidence(2**0.5)  # how a move is chosen inside the tree
    prove: bool = False  # back up wins and losses that are certain
    most_steps: Count = 1_000  # of a game played in the mind; what is longer counts as it stands

    def choose(self, obs: Simulated, key: Array) -> Array:
        """The move to make in one position, int32."""
        search_key, key = jax.random.split(key)
        found = self.search(obs, search_key)
        return choose(greedy(found.visits + self.simulations * jnp.float32(found.proven)), key)

    def search(self, obs: Simulated, key: Array) -> Found:
        """Think about one position."""
        logits = self.open_moves(obs.obs)
        root = mctx.RootFnOutput(prior_logits=logits, value=jnp.zeros(()), embedding=obs.simulator)
        tree = mctx.search(
            None,
            key,
            root=jax.tree.map(lambda x: x[None], root),
            recurrent_fn=self.imagine,
            root_action_selection_fn=functools.partial(self.descend, depth=0),
            interior_action_selection_fn=self.descend,
            num_simulations=self.simulations,
            invalid_actions=~is_legal(logits)[None],
            extra_data=jnp.zeros((1, self.simulations + 1, len(logits)), jnp.int8),
            loop_fn=_proving if self.prove else jax.lax.fori_loop,
        )
        summary, proven = tree.summary(), tree.extra_data[0, 0]
        visits = summary.visit_counts[0]
        return Found(visits, jnp.where(visits > 0, summary.qvalues[0], 0.0), proven)

    def open_moves(self, obs: Any) -> Array:
        """Logits that are the same for all legal moves, [moves]."""
        legal = legal_of(obs)
        return jnp.zeros(self.rules.spec.action.n) if legal is None else jnp.where(legal, 0.0, ILLEGAL)

    def descend(self, key: Array, tree: Any, node: Array, depth: Any) -> Array:
        """The move to go down by in one node of the tree."""
        visits, legal = tree.children_visits[node], is_legal(tree.children_prior_logits[node])
        hopeful = legal & (tree.extra_data[node] >= 0)
        legal = jnp.where(hopeful.any(), hopeful, legal)
        return choose(self.exploration.probabilities(tree.qvalues(node), visits, jnp.zeros(()), legal), key)

    def imagine(self, _: Any, key: Array, action: Array, simulator: Any) -> tuple[Any, Any]:
        """Make a move in the mind, and play on from there; all [1, ...], as mctx wants it."""
        step_key, play_key = jax.random.split(key)
        simulator, outcome = jax.vmap(self.rules.step, (0, 0, None))(simulator, action, step_key)
        value = jax.vmap(self.play_on, (0, 0, 0, None))(simulator, outcome.obs, outcome.last, play_key)
        logits = jax.vmap(self.open_moves)(outcome.obs)
        told = mctx.RecurrentFnOutput(
            reward=outcome.reward, discount=outcome.discount, prior_logits=logits, value=value
        )
        return told, simulator

    def play_on(self, simulator: Any, obs: Any, last: Array, key: Array) -> Array:
        """What random moves come to for the side to move; 0 where the game is over."""

        def go_on(carry: Any) -> Array:
            _, _, _, _, last, t = carry
            return ~last & (t < self.most_steps)

        def step(carry: Any) -> Any:
            simulator, obs, total, discount, _, t = carry
            move_key, step_key = jax.random.split(jax.random.fold_in(key, t))
            move = choose(evenly(jnp.zeros(self.rules.spec.action.n), legal_of(obs)), move_key)
            simulator, outcome = self.rules.step(simulator, move, step_key)
            total, discount = total + discount * outcome.reward, discount * outcome.discount
            return simulator, outcome.obs, total, discount, outcome.last, t + 1

        start = simulator, obs, jnp.zeros(()), jnp.ones(()), last, jnp.int32(0)
        return jax.lax.while_loop(go_on, step, start)[2]


def _proving(lower: int, upper: int, simulate: Any, carry: Any) -> Any:
    """mctx's loop over simulations, with what each proves."""

    def step(index: Array, carry: Any) -> Any:
        key, tree = simulate(index, carry)
        return key, tree.replace(extra_data=_proofs(tree, index + 1))

    return jax.lax.fori_loop(lower, upper, step, carry)


def _proofs(tree: Any, leaf: Array) -> Array:
    """What is proven of all moves of the tree, [1, nodes, moves], with what the newest node adds to it."""

    def above(node: Array) -> tuple[Array, Array]:
        return tree.parents[0, node], tree.action_from_parent[0, node]

    def go_on(carry: Any) -> Array:
        _, node, _, value = carry
        return (value != 0) & (node != tree.NO_PARENT)

    def up(carry: Any) -> Any:
        proven, node, move, value = carry
        proven = proven.at[0, node, move].set(value.astype(jnp.int8))
        worth = proven_value(proven[0, node], is_legal(tree.children_prior_logits[0, node]))
        node, move = above(node)
        return proven, node, move, worth * jnp.sign(tree.children_discounts[0, node, move])

    node, move = above(leaf)
    over = tree.children_discounts[0, node, move] == 0
    value = jnp.where(over, jnp.sign(tree.children_rewards[0, node, move]), 0.0)
    return jax.lax.while_loop(go_on, up, (tree.extra_data, node, move, value))[0]
