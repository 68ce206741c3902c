"""The way to the models: HTTP, time limits, and the catalogue of models and prices."""
