"""Blackjack: hit or stick against a dealer; Gymnasium's Blackjack-v1, rule for rule."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from bellmax.core import Env, Outcome, Spec
from bellmax.maths.chance import uniform
from bellmax.spaces import Discrete, MultiDiscrete

MOST_CARDS = 12  # of the dealer: six aces, a six, five aces


class BlackjackState(NamedTuple):
    """The cards, aces counted as 1."""

    total: Array  # int32, of the player
    aces: Array  # bool, whether the player holds one
    cards: Array  # int32, how many the player holds
    showing: Array  # int32, the dealer's card that is seen, 1 (an ace) to 10
    dealer: Array  # int32, what the dealer will reach: 17 to 21, or 0 for going bust
    dealer_natural: Array  # bool, whether the dealer was dealt an ace and a ten


class Blackjack(Env):
    """Come as near to 21 as you can without going over.

    Sutton & Barto, Reinforcement Learning, 2nd edition, Example 5.1 (http://incompleteideas.net/book/the-book-2nd.html).
    Cards are drawn from an infinite deck; court cards count 10, an ace 11 unless that goes over 21. The dealer draws to
    17 and sticks. Winning pays 1, a draw 0, losing -1.

    `sab` (default, as in Gymnasium's Blackjack-v1) is the book: a natural, an ace and a ten dealt at once, wins against
    everything but another natural. Without it a natural is 21 like any other, but pays 1.5 if `natural` and if it wins.

    Observation: [the player's sum, the dealer's card, whether the player has an ace that counts 11]. Actions: 0 stick,
    1 hit. An episode ends by sticking or by going over 21. https://gymnasium.farama.org/environments/toy_text/blackjack/
    """

    natural: bool = False
    sab: bool = True

    frames_per_second = 1

    @property
    def spec(self) -> Spec:
        return Spec(MultiDiscrete((32, 11, 2)), Discrete(2))

    def reset(self, key: Array) -> tuple[BlackjackState, Array]:
        cards = card(uniform(key, (2 + MOST_CARDS,)))
        hand, dealer = cards[:2], cards[2:]
        natural = (dealer[:2].sum() == 11) & (dealer[:2] == 1).any()
        state = BlackjackState(hand.sum(), (hand == 1).any(), jnp.int32(2), dealer[0], plays(dealer), natural)
        return state, seen(state)

    def step(self, env_state: BlackjackState, action: Array, key: Array) -> tuple[BlackjackState, Outcome]:
        hit, drawn = jnp.asarray(action) == 1, card(uniform(key))
        total = env_state.total + jnp.where(hit, drawn, 0)
        aces, cards = env_state.aces | (hit & (drawn == 1)), env_state.cards + hit
        env_state = env_state._replace(total=total, aces=aces, cards=cards)
        bust = hit & (total > 21)
        reward = jnp.where(hit, jnp.where(bust, -1.0, 0.0), self.compared(env_state))
        over = ~hit | bust
        return env_state, Outcome(seen(env_state), reward.astype(jnp.float32), 1 - over.astype(jnp.float32), over)

    def compared(self, state: BlackjackState) -> Array:
        """The reward for sticking."""
        reward = jnp.sign(seen(state)[0] - state.dealer).astype(jnp.float32)
        natural = (state.cards == 2) & state.aces & (state.total == 11)
        if self.sab:
            return jnp.where(natural & ~state.dealer_natural, 1.0, reward)
        return jnp.where(natural & (reward == 1), 1.5, reward) if self.natural else reward

    def text(self, env_state: BlackjackState) -> str:
        """The hand in words."""
        total, showing, ace = (int(x) for x in seen(env_state))
        hand = f"{total} with a usable ace" if ace else f"{total}"
        return f"you have {hand}, the dealer shows {'an ace' if showing == 1 else showing}"


def card(number: Array) -> Array:
    """A card for a number from [0, 1): 1 to 9, and 10 four times as often -> int32."""
    return jnp.minimum((number * 13).astype(jnp.int32) + 1, 10)


def plays(cards: Array) -> Array:
    """What the dealer reaches by drawing `cards` one by one to 17 or more, the first two at once; 0 for going bust."""
    total, aces = jnp.cumsum(cards), jnp.cumsum(cards == 1) > 0
    value = total + 10 * (aces & (total <= 11))
    reached = value[jnp.argmax((value >= 17) & (jnp.arange(len(cards)) > 0))]
    return jnp.where(reached > 21, 0, reached).astype(jnp.int32)


def seen(state: BlackjackState) -> Array:
    """The observation, int32 [3]."""
    usable = state.aces & (state.total <= 11)
    return jnp.stack([state.total + 10 * usable, state.showing, usable.astype(jnp.int32)]).astype(jnp.int32)
