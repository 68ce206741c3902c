"""The dated catalogue that ships with the package."""
