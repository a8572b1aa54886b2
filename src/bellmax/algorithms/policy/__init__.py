"""Policy gradients: learn the policy itself."""
