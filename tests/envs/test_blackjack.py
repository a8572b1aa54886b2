"""Blackjack is Gymnasium's: hand for hand where the cards are given, in distribution where they are drawn."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.envs.toy_text import blackjack as theirs

from bellmax.envs.blackjack import MOST_CARDS, Blackjack, BlackjackState, card, plays, seen

KEY = jax.random.key(0)
DECK = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10]


def holding(player, dealer, drawn=()):
    """Our state after these cards; `drawn` are those the dealer would take."""
    cards = jnp.array([*dealer, *drawn, *[10] * (MOST_CARDS - len(dealer) - len(drawn))])
    natural = jnp.bool_(sorted(dealer) == [1, 10])
    hand = jnp.int32(sum(player)), jnp.bool_(1 in player), jnp.int32(len(player))
    return BlackjackState(*hand, jnp.int32(dealer[0]), plays(cards), natural)


class Stacked:
    """A generator that hands out the cards of a list."""

    def __init__(self, cards):
        self.cards = list(cards)

    def choice(self, deck):
        return self.cards.pop(0)


def their_outcome(player, dealer, drawn, action, **rules):
    env = theirs.BlackjackEnv(**rules)
    env.player, env.dealer, env._np_random = list(player), list(dealer), Stacked(drawn)
    obs, reward, terminated, _, _ = env.step(action)
    return [int(x) for x in obs], reward, terminated


RULES = [{"sab": True}, {"sab": False}, {"sab": False, "natural": True}]


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_sticking_pays_as_in_gymnasium(rules):
    draw, env, rewards = np.random.default_rng(0), Blackjack(**{"natural": False, "sab": True} | rules), []
    step = jax.jit(env.step)
    hands = [([1, 10], [10, 1]), ([1, 10], [10, 5]), ([10, 1], [1, 5]), ([5, 5, 1], [1, 10]), ([10, 10], [6, 6])]
    hands += [(list(draw.choice(DECK, draw.integers(2, 4))), list(draw.choice(DECK, 2))) for _ in range(60)]
    for player, dealer in hands:
        if theirs.is_bust(player):
            continue
        drawn = list(draw.choice(DECK, MOST_CARDS - 2))
        obs, reward, terminated = their_outcome(player, dealer, drawn, 0, **rules)
        _, ours = step(holding(player, dealer, drawn), jnp.int32(0), KEY)
        assert ours.obs.tolist() == obs
        assert (float(ours.reward), bool(ours.last), float(ours.discount)) == (reward, terminated, 0.0), (
            player,
            dealer,
        )
        rewards.append(reward)
    assert {-1.0, 0.0, 1.0} <= set(rewards)
    assert (1.5 in rewards) == bool(rules.get("natural"))


def test_hitting_adds_a_card_as_in_gymnasium():
    env, draw, busts = Blackjack(), np.random.default_rng(1), 0
    step = jax.jit(env.step)
    for seed in range(60):
        player, dealer = list(draw.choice(DECK, draw.integers(2, 4))), list(draw.choice(DECK, 2))
        if theirs.is_bust(player):
            continue
        before = holding(player, dealer)
        after, ours = step(before, jnp.int32(1), jax.random.key(seed))
        obs, reward, terminated = their_outcome(player, dealer, [int(after.total - before.total)], 1, sab=True)
        assert ours.obs.tolist() == obs
        assert (float(ours.reward), bool(ours.last)) == (reward, terminated)
        assert float(ours.discount) == 1 - terminated
        busts += terminated
    assert 5 < busts < 50


def test_cards_and_the_dealer_by_hand():
    assert [int(card(jnp.float32((i + 0.5) / 13))) for i in range(13)] == DECK
    assert int(plays(jnp.array([1, 6, 10, 10]))) == 17  # a soft 17 stands
    assert int(plays(jnp.array([1, 5, 10, 1, 10]))) == 17  # soft 16, hard 16, hard 17
    assert int(plays(jnp.array([10, 6, 6, 10]))) == 0  # 22
    assert int(plays(jnp.array([1, 10, 10]))) == 21
    longest = [1, 1, 1, 1, 1, 1, 6, 1, 1, 1, 1, 1]  # soft 16, hard 12, then one by one
    assert len(longest) == MOST_CARDS
    assert int(plays(jnp.array(longest))) == 17


def test_no_hand_of_the_dealer_takes_more_cards():
    def most(total, ace, count):
        if (total + 10 if ace and total <= 11 else total) >= 17:
            return count
        return max(most(total + c, ace or c == 1, count + 1) for c in range(1, 11))

    assert max(most(first, first == 1, 1) for first in range(1, 11)) == MOST_CARDS


def test_whole_games_are_distributed_as_gymnasiums():
    """Hit below 17: the share of each first observation and the mean return, within four standard errors."""
    env, games = Blackjack(), 20_000

    def play(key):
        state, obs = env.reset(key)
        first, score, alive = obs, 0.0, True
        for t in range(8):
            state, outcome = env.step(state, (obs[0] < 17).astype(jnp.int32), jax.random.fold_in(key, t))
            score, alive, obs = score + outcome.reward * alive, alive & ~outcome.last, outcome.obs
        return first, score, alive

    first, score, alive = map(np.asarray, jax.jit(jax.vmap(play))(jax.random.split(KEY, games)))
    assert not alive.any()
    other, theirs_first, theirs_score = gymnasium.make("Blackjack-v1", sab=True), [], []
    other.reset(seed=0)
    for _ in range(4000):
        obs, over = other.reset()[0], False
        theirs_first.append(obs)
        while not over:
            obs, reward, over, _, _ = other.step(int(obs[0] < 17))
        theirs_score.append(reward)
    theirs_first = np.array(theirs_first)
    error = lambda p: 4 * np.sqrt(p * (1 - p) * (1 / games + 1 / 4000))
    for column in range(3):
        for value in np.unique(theirs_first[:, column]):
            p = (theirs_first[:, column] == value).mean()
            assert abs((first[:, column] == value).mean() - p) < error(p) + 1e-4
    assert abs(score.mean() - np.mean(theirs_score)) < 4 * score.std() * np.sqrt(1 / games + 1 / 4000)
    assert abs(np.mean(theirs_score)) > 0.02


def test_the_observation_is_in_its_space_even_after_a_bust():
    counts = Blackjack().spec.obs.counts
    for total in range(4, 32):
        for ace in (False, True):
            state = BlackjackState(
                jnp.int32(total), jnp.bool_(ace), jnp.int32(3), *(jnp.int32(10),) * 2, jnp.bool_(False)
            )
            assert all(0 <= int(x) < n for x, n in zip(seen(state), counts))


def test_text():
    assert Blackjack().text(holding([1, 5], [1, 3])) == "you have 16 with a usable ace, the dealer shows an ace"
    assert Blackjack().text(holding([10, 5], [9, 3])) == "you have 15, the dealer shows 9"
