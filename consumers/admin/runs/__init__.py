"""The pages of retry runs: starting one (`start`, from a `query`), the list, and its own page with orders (`page`)."""
