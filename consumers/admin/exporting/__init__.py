"""Failed records as files: `rows` makes plain data of them, redacted; `formats` writes it; `action` streams it."""
