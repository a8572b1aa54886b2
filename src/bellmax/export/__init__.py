"""Policies that leave home: StableHLO and ONNX files of a greedy policy, each checked against Python.

export(algorithm, state, spec, "folder")
policy = load("folder")
action = policy(obs)
"""

from bellmax.export.failed import DamagedPolicy, ExportFailed
from bellmax.export.loading import Policy, load
from bellmax.export.writing import FORMATS, export

__all__ = ["FORMATS", "DamagedPolicy", "ExportFailed", "Policy", "export", "load"]
