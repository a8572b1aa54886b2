"""Learning with tables: prediction and control, Sutton & Barto's chapters 5 to 8."""
