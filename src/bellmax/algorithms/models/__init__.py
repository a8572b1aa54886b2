"""Algorithms that learn a model of the world, and learn from what they imagine in it."""
