"""`bellmax dream` passes on what was asked, and says how good it is in reality."""

from types import SimpleNamespace

from bellmax.cli import dream


def test_what_is_asked_is_dreamt(monkeypatch, capsys):
    heard = {}

    def evaluate(episodes, seed):
        return SimpleNamespace(mean=100.0 * episodes + seed)

    def dreamt(run, **settings):
        heard.update(settings, run=run)
        return SimpleNamespace(seeds=[3, 7], evaluate=evaluate)

    monkeypatch.setattr(dream, "find_run", lambda name: f"runs/{name}")
    monkeypatch.setattr(dream, "load", lambda path: f"loaded {path}")
    monkeypatch.setattr(dream, "dream", dreamt)
    monkeypatch.setattr(dream, "foresee", lambda run, updates: (f"{run}, {updates} updates", {"end_error": 0.25}))
    dream.main(
        ["latest", "--generations", "5", "--temperature", "1.5", "--z-alone", "--episodes", "2", "--foresee", "0"]
    )
    assert heard["run"] == "loaded runs/latest"
    assert (heard["generations"], heard["temperature"], heard["remembers"]) == (5, 1.5, False)
    assert (heard["population"], heard["rollouts"], heard["length"], heard["deviation"]) == (32, 16, 200, 0.5)
    assert capsys.readouterr().out.splitlines() == [
        "seed 3: 200 in the real environment, the mean of 2 episodes",
        "seed 7: 201 in the real environment, the mean of 2 episodes",
    ]
    dream.main(["latest"])
    assert heard["remembers"] is True
    assert heard["run"] == "loaded runs/latest, 3000 updates"
    assert capsys.readouterr().out.startswith("end_error 0.25\n")
