"""The failure inbox: what failed, by likeness, with its numbers, its trend and what people do about it."""
