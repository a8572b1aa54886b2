"""Reinforcement learning's formulas, each written once: pure, per element, checked by hand.

Nothing here averages over a batch (but `weighted_mean`, whose job it is) and nothing knows an
algorithm, an environment or a driver.
"""
