"""The arena: exact values of tic-tac-toe, games whose outcome is known, ratings by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("pgx")
pytest.importorskip("mctx")

import bellmax as bm
from bellmax.contest.front import Arena, arena
from bellmax.contest.games import Tally, games
from bellmax.contest.minimax import evenly_over, outcome, solve_game
from bellmax.contest.players import Player, minimax_player, player, random_player
from bellmax.contest.rating import elo
from bellmax.envs import CartPole
from bellmax.envs.adaptors.pgx import Pgx

GAME = Pgx()


@pytest.fixture(scope="module")
def solved():
    return solve_game(GAME)


def by_recursion(board, memory):
    """The value for the side to move of a board of 1 (its own), -1 (the other's) and 0; plain negamax, in Python."""
    if board not in memory:
        lines = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]
        if any(all(board[i] == -1 for i in line) for line in lines):
            memory[board] = -1
        elif 0 not in board:
            memory[board] = 0
        else:
            after = [tuple(-x for x in (*board[:i], 1, *board[i + 1 :])) for i in range(9) if board[i] == 0]
            memory[board] = max(-by_recursion(other, memory) for other in after)
    return memory[board]


def test_every_value_is_that_of_a_recursion_over_boards(solved):
    memory = {}
    assert by_recursion((0,) * 9, memory) == 0
    planes = solved.obs.obs.reshape(-1, 9, 2).astype(int)
    boards = [tuple(board) for board in (planes[..., 0] - planes[..., 1]).tolist()]
    assert len(set(boards)) == len(boards) == 4520  # of 5478, 958 are over
    assert [memory[board] for board in boards] == solved.value.tolist()


def test_positions_are_found_again_by_what_is_seen(solved):
    assert jax.jit(jax.vmap(solved.find))(solved.obs).tolist() == list(range(4520))


def test_what_random_and_minimax_come_to_exactly(solved):
    anyhow, best = evenly_over(solved.legal), evenly_over(solved.best)
    assert np.round(outcome(solved, anyhow, anyhow), 3).tolist() == [0.585, 0.127, 0.288]
    assert np.round(outcome(solved, best, anyhow), 3).tolist() == [0.968, 0.032, 0.0]
    assert np.round(outcome(solved, best, best), 3).tolist() == [0.0, 1.0, 0.0]
    assert outcome(solved, anyhow, best)[0] == 0, "nobody beats minimax"
    wrong = evenly_over(solved.legal & (solved.q <= np.where(solved.legal, solved.q, np.inf).min(1)[:, None]))
    assert outcome(solved, best, wrong)[0] > 0.9, "the control: the worst moves lose"


def test_games_that_are_played_come_out_as_they_must():
    anyhow, best = random_player(GAME), minimax_player(GAME)
    count = 2000
    for first, second, expected in ((anyhow, anyhow, (0.585, 0.127)), (best, anyhow, (0.968, 0.032))):
        tally, moves = games(first, second, GAME, count)
        for got, share in zip(tally, expected):
            assert abs(got / count - share) < 4 * (share * (1 - share) / count) ** 0.5
        assert len(moves) == 9
        played = np.stack(moves, 1)
        for row in played[:50]:
            made = row[row >= 0]
            assert len(set(made)) == len(made) >= 5
    assert games(best, best, GAME, 200)[0] == Tally(0, 200, 0)


def test_an_arena_swaps_colours_and_adds_up():
    won = arena(["random", "minimax"], GAME, games_each=200)
    assert set(won.tallies) == {("random", "minimax"), ("minimax", "random")}
    assert all(tally.games == 100 for tally in won.tallies.values())
    both = won.against("random", "minimax")
    assert both == won.against("minimax", "random").turned()
    assert both.games == 200
    assert both.wins == 0
    assert won.elo["random"] == 0
    assert won.elo["minimax"] > 300
    assert "minimax: Elo +" in str(won)


def test_ratings_by_hand():
    # 3 of 4 points: 10^(R/400) = 3, so R = 400 log10 3 = 190.85.
    np.testing.assert_allclose(elo(np.array([[0, 3.0], [1.0, 0]]), 0), [0, -190.8485], atol=1e-3)
    # A chain of two such steps: twice as far, though the ends never met.
    chain = np.array([[0, 3.0, 0], [1.0, 0, 3.0], [0, 1.0, 0]])
    np.testing.assert_allclose(elo(chain, 0), [0, -190.8485, -381.697], atol=1e-2)
    # 10 : 0 and a draw added is 10.5 : 0.5.
    np.testing.assert_allclose(elo(np.array([[0, 10.0], [0, 0]])), [0, -400 * np.log10(21)], atol=1e-3)


def test_a_tally_counts_a_draw_half():
    assert Tally(2, 1, 1).score == 0.625
    assert (Tally(1, 2, 3) + Tally(1, 0, 0).turned()) == Tally(1, 2, 4)
    assert Arena(("a", "b"), {("a", "b"): Tally(1, 0, 0), ("b", "a"): Tally(0, 0, 1)}).against("a", "b").wins == 2


def test_tree_search_finds_a_win_and_a_block(solved):
    search = jax.jit(bm.MCTS(GAME, 200).search)
    for moves, best in (([0, 3, 1, 4], 2), ([4, 0, 3], 5), ([0, 4], None)):  # a win, a block, a quiet position
        state, obs = bm.WithSimulator(GAME).reset(jax.random.key(0))
        for move in moves:
            state, (obs, *_) = bm.WithSimulator(GAME).step(state, jnp.int32(move), jax.random.key(0))
        found = search(obs, jax.random.key(1))
        number = int(solved.find(obs.obs))
        assert best is None or int(found.visits.argmax()) == best
        assert solved.best[number, int(found.visits.argmax())]
        assert found.visits.sum() == 200
        assert (found.visits[~obs.obs.legal] == 0).all()
        assert moves[-1] != 4 or best is None or found.q[best] == 1


def test_what_tree_search_proves_is_so(solved):
    """In positions after four moves; without `prove` nothing is proven, and half of the exact values are found."""
    ply = solved.plies[4]
    draw = np.random.default_rng(0)
    numbers = draw.choice(np.arange(ply.start, ply.stop), 64, replace=False)
    seen = jax.tree.map(lambda x: jnp.asarray(x[numbers]), bm.spaces.Simulated(solved.obs, solved.simulators))
    keys, exact = jax.random.split(jax.random.key(0), 64), solved.q[numbers]
    found = jax.jit(jax.vmap(bm.MCTS(GAME, 100, prove=True).search))(seen, keys)
    known = np.asarray(found.proven)
    assert (known[known != 0] == exact[known != 0]).all()
    assert (known[np.abs(exact) == 1] != 0).mean() > 0.5
    assert not known[~solved.legal[numbers]].any()


def test_players_and_mistakes():
    assert player("mcts:7", GAME).name == "mcts:7"
    for who, said in (("minmax", "give random, minimax"), ("mcts:no", "mcts:SIMULATIONS")):
        with pytest.raises(ValueError, match=said):
            player(who, GAME)
    with pytest.raises(ValueError, match="games_each = 3"):
        arena(["random", "minimax"], GAME, games_each=3)
    with pytest.raises(ValueError, match="no name twice"):
        arena(["random", "random"], GAME)
    with pytest.raises(ValueError, match="more than 100 positions: minimax plays only small games"):
        solve_game(GAME, most=100)
    with pytest.raises(ValueError, match="two who take turns"):
        games(Player("one", lambda *now: (jnp.int32(0), None)), random_player(CartPole()), CartPole(), 2)
