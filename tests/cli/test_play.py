"""`bellmax play`: legal moves alone, a winner named, Ctrl-C quits."""

import io

import pytest

pytest.importorskip("pgx")
pytest.importorskip("mctx")

from bellmax.cli import play


def typed(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_game_against_perfect_play_is_lost_by_who_plays_badly(monkeypatch, capsys):
    # Whatever minimax does in between, 0, 1 and 2 cannot all be had; the other fields are tried in order.
    typed(monkeypatch, "x\n9\n-1\n" + "\n".join(map(str, list(range(9)) * 5)) + "\n")
    play.main(["tic_tac_toe", "minimax"])
    said = capsys.readouterr().out
    assert "You are X and begin; minimax is the other." in said
    for wrong in ("'x'", "'9'", "'-1'"):
        assert f"{wrong} is no legal move: choose from 0, 1, 2, 3, 4, 5, 6, 7, 8." in said
    assert ". . .\n. . .\n. . ." in said
    assert said.count("minimax plays") >= 2
    assert said.splitlines()[-1] in ("You lose.", "A draw.")


def test_the_second_side_and_the_end_of_what_is_typed(monkeypatch, capsys):
    typed(monkeypatch, "")
    play.main(["tic_tac_toe", "random", "--side", "second"])
    said = capsys.readouterr().out
    assert "You are O; random is the other." in said
    assert "random plays" in said
    assert said.splitlines()[-1] == "You stopped."


def test_ctrl_c_quits(monkeypatch, capsys):
    def interrupted(legal):
        raise KeyboardInterrupt

    monkeypatch.setattr(play, "asked_for", interrupted)
    play.main(["tic_tac_toe", "random"])
    assert capsys.readouterr().out.endswith("You stopped.\n")


def test_a_game_without_a_board_is_refused():
    with pytest.raises(ValueError, match="cannot be shown in letters"):
        play.main(["bellmax:CartPole", "random"])
