"""What a column holds, said once: the models size their columns by it and the events refuse what would not fit."""

TRANSACTION_ID_CHARS = 64
CURRENCY_CHARS = 3
METHOD_CHARS = 50
REFERENCE_CHARS = 255

AMOUNT_PLACES = 4
AMOUNT_WHOLE_DIGITS = 14
"""Digits before the point: one payment stays below 100 million million."""
BALANCE_WHOLE_DIGITS = 20
"""A balance has room for a million of the largest payments."""
