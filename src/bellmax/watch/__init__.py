"""See what was learned: on the screen, as a GIF or MP4, or as text.

watch(algorithm, state, find("CartPole-v1"), "cartpole.gif")
"""

from bellmax.watch.film import CannotWatch
from bellmax.watch.foresight import Foresight
from bellmax.watch.imagined import imagined
from bellmax.watch.playing import Moment, play
from bellmax.watch.showing import watch

__all__ = ["CannotWatch", "Foresight", "Moment", "imagined", "play", "watch"]
