"""Policies against each other, and against those whose strength is known."""
