"""The names of `import bellmax`: what type checkers are told and what is found at run time are the same."""

import ast
import inspect

import bellmax


def told():
    """name -> module, of the imports under TYPE_CHECKING."""
    tree = ast.parse(inspect.getsource(bellmax))
    block = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    return {alias.name: node.module for node in block.body for alias in node.names}


def test_type_checkers_are_told_the_names_that_are_there():
    assert {name: f"bellmax.{module}" for name, module in bellmax._MODULES.items()} == told()


def test_every_name_is_where_it_is_said_to_be():
    for name in bellmax.__all__:
        assert getattr(bellmax, name).__name__ == name or not isinstance(getattr(bellmax, name), type)
