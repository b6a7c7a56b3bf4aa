"""The endpoints, a file per group: the overview, the probes, those of two published services, and /v1."""
