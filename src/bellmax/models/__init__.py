"""Learned models of the world: networks that are environments, and what is imagined in them."""

from bellmax.models.ensemble import Ensemble
from bellmax.models.ensemble_world import EnsembleWorld
from bellmax.models.foresees import Foresees, unrolled
from bellmax.models.imagine import imagine

__all__ = ["Ensemble", "EnsembleWorld", "Foresees", "imagine", "unrolled"]
