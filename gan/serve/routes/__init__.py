"""The endpoints, a file per group: the pages, the probes, those of two published services, and /v1."""
