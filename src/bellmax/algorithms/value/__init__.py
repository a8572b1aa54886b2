"""Deep value-based control: one network that says what each action is worth."""
