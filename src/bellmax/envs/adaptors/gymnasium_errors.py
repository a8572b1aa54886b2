"""What can be wrong with a hosted environment."""


class EnvironmentFailed(RuntimeError):
    """The user's environment raised; the message says which, where and when, and `__cause__` is what it raised."""


class InvalidEnvironment(ValueError):
    """An environment breaks Gymnasium's contract; the message says where and how to mend it."""


class UnsupportedSpace(TypeError):
    """A space that bellmax cannot learn from or act in; the message names it and the way out."""


class Uncopyable(TypeError):
    """More than one of an environment object is wanted, and it cannot be copied."""
