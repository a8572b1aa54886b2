"""Learners from logged steps."""
