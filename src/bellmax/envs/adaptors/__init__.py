"""Worlds of other libraries: one file a library, imported only when asked for."""


class MissingDependency(ImportError):
    """An environment needs a package that is not installed; the message says how to install it."""
