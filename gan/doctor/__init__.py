"""`gan doctor`: what is on this machine, and what helps where something is missing."""
