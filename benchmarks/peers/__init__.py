"""The libraries bellmax is measured against, each in a virtual environment of its own.

The environments lie in benchmarks/.venvs, or in the folder that BELLMAX_PEERS names, and are made when missing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.process import Answer, measure, say

HERE = Path(__file__).resolve().parent


class Peer(NamedTuple):
    """A library; NAME.txt pins its packages, NAME_*.py measure it. A variant is a set of environment variables."""

    title: str
    name: str
    variants: Mapping[str, Mapping[str, str]]


SB3 = Peer(
    "Stable-Baselines3",
    "sb3",
    {
        "1 torch thread": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        "2 torch threads": {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
    },
)
REJAX = Peer(
    "Rejax",
    "rejax",
    {
        "all cores": {"JAX_PLATFORMS": "cpu"},
        "one core": {"JAX_PLATFORMS": "cpu", "PEER_CORES": "1"},
    },
)


def fastest(peer: Peer, script: str, job: Answer) -> str:
    """The variant of which `job` takes the most steps a second: a peer is met at its best."""
    speeds = {}
    for variant in peer.variants:
        say(f"  {peer.title}, trying {variant}")
        speeds[variant] = ask(peer, script, job, variant)["steps_per_second"]
    return max(speeds, key=lambda variant: speeds[variant])


def ask(peer: Peer, script: str, job: Answer, variant: str, limit: float = 600) -> Answer:
    """Run peers/`script`.py in the peer's environment -> what it measured, with its title and variant."""
    command = [str(interpreter(peer)), str(HERE / f"{script}.py")]
    answer = measure(command, job, peer.variants[variant], limit=limit)
    return answer | {"title": peer.title, "variant": variant}


def interpreter(peer: Peer) -> Path:
    """The Python of the peer's environment, made first when missing, filled up when a pinned package is."""
    folder = Path(os.environ.get("BELLMAX_PEERS", HERE.parent / ".venvs")) / peer.name
    python = folder / "bin" / "python"
    if not python.exists():
        say(f"making {peer.title}'s environment (once)")
        venv.create(folder, with_pip=True, symlinks=True)
    missing = unmet(python, pins(peer))
    if missing:
        say(f"installing {', '.join(missing)} for {peer.title} (once)")
        install(python, HERE / f"{peer.name}.txt", peer)
    return python


def install(python: Path, requirements: Path, peer: Peer) -> None:
    """Install the pinned packages, and see that they are there."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
    done = subprocess.run(command, stdout=sys.stderr)
    missing = unmet(python, pins(peer))
    if done.returncode or missing:
        raise SystemExit(
            f"{peer.title}'s packages ({', '.join(missing) or requirements.name}) could not be installed: "
            f"read pip's message above, or point BELLMAX_PEERS to a folder with ready environments"
        )


def pins(peer: Peer) -> dict[str, str]:
    """The packages of NAME.txt -> versions; lines are NAME==VERSION, with or without a comment."""
    text = (HERE / f"{peer.name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


def unmet(python: Path, wanted: dict[str, str]) -> list[str]:
    """The pinned packages that the environment lacks or has in another version."""
    have = versions(python, list(wanted))
    return [f"{name}=={version}" for name, version in wanted.items() if have[name] != version]


def versions(python: Path, names: list[str]) -> dict[str, Any]:
    """Installed versions, None where there is none; a build's own suffix (2.13.0+cpu) is left out."""
    program = (
        "import importlib.metadata as m, sys\n"
        "have = {d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()}\n"
        "print('\\n'.join(have.get(n.lower().replace('_', '-'), '-') for n in sys.argv[1:]))"
    )
    done = subprocess.run([str(python), "-c", program, *names], capture_output=True, text=True, check=True)
    found = [None if line == "-" else line.split("+")[0] for line in done.stdout.split()]
    return dict(zip(names, found))
