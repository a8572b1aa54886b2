"""Learned models of the world: networks that are environments, and what is imagined in them."""

from bellmax.models.dream import Dream
from bellmax.models.imagine import imagine

__all__ = ["Dream", "imagine"]
