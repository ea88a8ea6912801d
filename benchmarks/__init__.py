"""Measures the project against PostgreSQL's own limit and against what a team would write without it: `make bench`."""
