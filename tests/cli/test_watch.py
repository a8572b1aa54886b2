"""`bellmax watch` passes on what was asked, and says how wrong what was imagined is."""

from types import SimpleNamespace

from bellmax.cli import watch


def test_what_is_asked_is_watched(monkeypatch, capsys):
    heard = []

    def imagined(path, **how):
        heard.append(("imagined", path, how))
        return SimpleNamespace(table=lambda: "how wrong")

    run = SimpleNamespace(seeds=[3], watch=lambda path, **how: heard.append(("watch", path, how)), imagined=imagined)
    monkeypatch.setattr(watch, "find_run", lambda name: name)
    monkeypatch.setattr(watch, "load", lambda name, checkpoint: run)
    watch.main(["latest", "--imagined", "--output", "x.png", "--horizon", "7"])
    watch.main(["latest", "--episodes", "2", "--sampled"])
    assert heard == [
        ("imagined", "x.png", {"episodes": 1, "seed": 0, "greedy": True, "context": 5, "horizon": 7}),
        ("watch", None, {"episodes": 2, "seed": 0, "greedy": False}),
    ]
    assert capsys.readouterr().out == "how wrong\nwrote x.png\n"
