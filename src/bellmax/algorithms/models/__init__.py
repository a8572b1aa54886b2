"""Learn a model of the world, and learn in it."""
