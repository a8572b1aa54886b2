"""Training language models: the front door, what a run works with, and what it gives back."""
