"""Sweeps: many training runs with different settings, and a table of their results."""
