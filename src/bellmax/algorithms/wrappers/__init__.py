"""What can be put around any algorithm: `Normalised(ScaledRewards(PPO()))`."""
