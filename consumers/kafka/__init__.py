"""The broker's client. Only this package knows it."""
