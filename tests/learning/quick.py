"""Compiling fast: most of these tests compile for longer than they run."""

import jax


def _known(options):
    """The options, or none where this version of XLA does not have them."""
    try:
        jax.jit(lambda: 0, compiler_options=options)()
    except jax.errors.JaxRuntimeError:
        return {}
    return options


QUICKLY = _known({"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False})
