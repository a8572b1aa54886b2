"""Pictures of scores over parameters say what their marks mean."""

import numpy as np
import pytest

from bellmax.report.sensitivity_plots import Grid, plot_grids


def grid(seeds, usual=0.5, **parameters):
    shape = [len(values) for values in parameters.values()]
    return Grid(parameters, dict.fromkeys(parameters, usual), np.zeros((seeds, *shape)))


@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        (grid(1, length=(0.25, 0.5)), "Dotted: the environment as it is."),
        (
            grid(2, length=(0.25, 0.5)),
            "Dotted: the environment as it is; band: from the worst seed to the best.",
        ),
        (grid(2, length=(0.25, 0.5), force=(0.5, 1.0)), "Framed: the environment as it is."),
        (grid(2, 0.7, length=(0.25, 0.5), force=(0.5, 1.0)), ""),
    ],
    ids=["a curve", "seeds", "a map", "a map without the environment as it is"],
)
def test_the_marks_are_explained(drawn, said):
    figure = plot_grids({"ppo": drawn})
    assert figure.get_supxlabel() == said
    assert plot_grids({"ppo": drawn}, caption="another").get_supxlabel() == "another"
