"""Logged steps: where they come from, whether they fit, and how they are written."""

from bellmax.data.finding import DataError, Elsewhere, Logged, find

__all__ = ["DataError", "Elsewhere", "Logged", "find"]
