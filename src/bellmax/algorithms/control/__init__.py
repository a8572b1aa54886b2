"""Continuous control from replay: an actor and its critics."""
