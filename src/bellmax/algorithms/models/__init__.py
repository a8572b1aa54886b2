"""Algorithms that learn a model of the world, and act by it."""
