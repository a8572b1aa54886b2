"""Learners of language models, a file each."""
