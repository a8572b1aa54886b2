"""A model on a grid, with values and actions, as it is drawn and printed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bellmax.exactness import discount_of, legal_in, model_of, policy_table, reachable, table_of
from bellmax.mdp.drawing import GOAL, OTHER_END, marks_of, policy_text, values_text
from bellmax.mdp.evaluation import evaluate_policy
from bellmax.mdp.model import MDP
from bellmax.report.grid_plots import Board, digits_of, plot_grid
from bellmax.spaces import Discrete, Masked

_MOST_STARTS = 4  # of more, none is marked


def board_of(mdp: MDP, values: np.ndarray, chosen: np.ndarray) -> Board | None:
    """What is drawn of values [states] and chosen actions, bool [states, actions]; None without a grid.

    Cells that no episode can come to are closed. Where all that happens on the way is certain, there is the path.
    """
    if mdp.grid is None:
        return None
    return Board(
        shape=mdp.grid,
        values=np.asarray(values),
        chosen=chosen,
        actions=mdp.action_names,
        over=mdp.absorbing,
        closed=closed_in(mdp),
        marks=marks(mdp),
        path=path_of(mdp, chosen),
    )


class Learned(NamedTuple):
    """What one seed of a run has learned about a world on a grid."""

    mdp: MDP
    values: np.ndarray  # [states]
    chosen: np.ndarray  # bool [states, actions], what it does; nothing where it has no preference
    tabular: bool  # are the values its own table's? Otherwise they are its policy's, exactly


def learned(run: Any, seed: int = 0, only_tables: bool = False) -> Learned | None:
    """What there is to show of a run: None unless its environment is a grid with a model; `seed` is an index."""
    state = run.state_of(seed)
    space = run.spec.obs.obs if isinstance(run.spec.obs, Masked) else run.spec.obs
    table = table_of(state, run.spec)
    if not isinstance(space, Discrete) or (only_tables and table is None):
        return None
    try:
        mdp = model_of(run.plan.env, discount_of(run.algorithm))
        policy = policy_table(run.algorithm, state, run.spec, mdp)
        if mdp.grid is None:
            return None
        legal = legal_in(mdp)
        if table is not None:
            values = np.where(mdp.absorbing, 0.0, np.where(legal, table, -np.inf).max(1))
        else:
            values = evaluate_policy(mdp, policy).values
    except ValueError:  # no model, or the policy remembers or never comes to an end: nothing to show
        return None
    chosen = (policy > 0) & ~mdp.absorbing[:, None]
    undecided = (chosen == legal).all(1, keepdims=True) & (legal.sum(1, keepdims=True) > 1)
    return Learned(mdp, values, chosen & ~undecided, table is not None)


def draw_learned(run: Any, path: Any) -> list[Any]:
    """Draw what the first seed of a run has learned about a grid -> the file, if there is something to draw."""
    found = learned(run)
    board = board_of(found.mdp, found.values, found.chosen) if found else None
    if found is None or board is None:
        return []
    title = f"{run.plan.algorithm_name} on {run.plan.env_name}, after {run.meta['taken'][0]:,} steps"
    caption = "Colours and numbers: " + (
        "the largest Q of the learned table." if found.tabular else "what the learned policy is worth, exactly."
    )
    caption += " Arrows: the learned greedy policy."
    caption += " Orange: where it leads." * bool(board.path)
    caption += f" Seed {run.seeds[0]}." * (len(run.seeds) > 1)
    return [plot_grid(board, path, title, caption)]


def marks(mdp: MDP) -> tuple[str, ...]:
    """S where episodes begin, G where ending pays most, a cross where it pays less."""
    ends = marks_of(mdp)
    found = [{GOAL: "G", OTHER_END: "×"}.get(ends.get(state, ""), "") for state in range(mdp.states)]
    starts = np.flatnonzero(mdp.starts() > 0)
    for start in starts if len(starts) <= _MOST_STARTS else []:
        found[start] = found[start] or "S"
    return tuple(found)


def path_of(mdp: MDP, chosen: np.ndarray) -> tuple[int, ...]:
    """The states from the start to the end, taking the first chosen action everywhere; () where chance has a say."""
    starts = np.flatnonzero(mdp.starts() > 0)
    if len(starts) != 1:
        return ()
    found = [int(starts[0])]
    while not mdp.absorbing[found[-1]]:
        state = found[-1]
        if not chosen[state].any():
            return ()
        action = int(chosen[state].argmax())
        likely = mdp.probability[action, :, state].argmax()
        following = int(mdp.successor[action, likely, state])
        if mdp.probability[action, likely, state] < 1 - 1e-6 or following in found:
            return ()
        found.append(following)
    return tuple(found)


def board_text(mdp: MDP, values: np.ndarray, chosen: np.ndarray, kind: str) -> str:
    """Values and actions in words; `kind` says whose they are: "optimal". States that nobody comes to stay blank."""
    closed = closed_in(mdp)
    known = np.where(closed, np.nan, values)
    numbers = values_text(mdp, known, digits_of(known)).replace("nan", "   ")
    arrows = policy_text(mdp, chosen & ~closed[:, None])
    return f"{kind} values\n{_trimmed(numbers)}\n\n{kind} actions\n{_trimmed(arrows)}"


def closed_in(mdp: MDP) -> np.ndarray:
    """The states that no episode can come to, whatever is done: bool [states]."""
    return ~reachable(mdp, legal_in(mdp))


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())
