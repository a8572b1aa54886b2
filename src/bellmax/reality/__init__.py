"""From simulation to reality: how far a policy carries, and simulators fitted to what was measured."""
