"""The language model itself: transformer, folders, text in and out, sampler, rewards."""
