"""The figures of Sutton & Barto's part I, reproduced: `python -m benchmarks.book`."""
