"""OpenRouter's JSON in both directions, as pure functions of the values (WIRE.md)."""
