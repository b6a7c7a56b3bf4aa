"""The endpoints: those of the published services, the project's own under /v1, and those for operation."""
