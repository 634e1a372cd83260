"""Providers: one way to a model's answer as typed events, on more than one engine."""
