"""What a user did wrong, in one line."""


class UserError(ValueError):
    """A mistake in what the user asked for: its text names the key, the value and what is allowed."""
