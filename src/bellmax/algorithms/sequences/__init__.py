"""Learners that read an episode as a sequence."""
