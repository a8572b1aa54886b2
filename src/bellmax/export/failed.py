"""What can go wrong with exported policies."""

from __future__ import annotations

from bellmax.runs.disk import RunFolderError


class ExportFailed(RuntimeError):
    """A policy that cannot be exported, or a file that does not decide as the policy does."""


class DamagedPolicy(RunFolderError):
    """An exported policy that is not what was written: cut short, changed or incomplete."""
