"""Bandits: one state, many arms, Sutton & Barto's chapter 2 and what came after."""
