"""Where stored experience is kept changes nothing, and what does not fit is said before it is allocated."""

import pytest
from tests.with_devices import printed

import bellmax as bm
from bellmax import memory

LARGE = bm.DQN(experience=bm.Replay(100_000))  # 100,000 steps of CartPole: 40 to 60 bytes each


def test_a_run_whose_experience_stays_with_the_host_is_the_same_bit_for_bit(tmp_path):
    assert printed("tests.drivers.kept_apart", 2, tmp_path, bits=True) == ["the same"]


@pytest.mark.parametrize(
    ("env", "device", "host", "remedy"),
    [
        ("CartPole-v1", 10**6, 2 * 10**6, "smaller capacity or fewer seeds\\."),
        ("bellmax:CartPole", 10**6, 10**6, "smaller capacity or fewer seeds\\."),
        ("bellmax:CartPole", 10**6, 10**9, "or a Gymnasium environment"),
    ],
)
def test_what_fits_nowhere_is_refused(env, device, host, remedy, monkeypatch):
    monkeypatch.setattr(memory, "device_bytes", lambda: device)
    monkeypatch.setattr(memory, "host_bytes", lambda: host)
    with pytest.raises(
        ValueError, match=rf"experience\.capacity = 100,000: it takes \d MB for 1 seed.* 1 MB; .*{remedy}"
    ):
        bm.train(LARGE, env, steps=10, run_folder=None, display="quiet", track=())


def test_what_is_kept_with_the_host_is_said(monkeypatch, capsys):
    monkeypatch.setattr(memory, "device_bytes", lambda: 10**6)
    bm.train(LARGE, "CartPole-v1", steps=10, run_folder=None, display="lines", track=())
    assert "more than the device's 1 MB: it stays in the machine's memory" in capsys.readouterr().out
    monkeypatch.setattr(memory, "device_bytes", lambda: 10**9)
    bm.train(LARGE, "CartPole-v1", steps=10, run_folder=None, display="lines", track=())
    assert "stays" not in capsys.readouterr().out, "the control"
