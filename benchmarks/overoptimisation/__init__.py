"""Reward hacking made visible: Gao, Schulman & Hilton (2023), with models that train in seconds."""
