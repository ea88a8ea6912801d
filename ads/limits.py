"""What a column holds, said once: the models size their columns by it and the events refuse what would not fit."""

NAME_CHARS = 255
USER_AGENT_CHARS = 1024
URL_CHARS = 2048
PLACEMENT_CHARS = 255
USER_ID_CHARS = 255

MAX_ID = 2**63 - 1
"""The largest id of a bigint column; ours start at 1."""

MONEY_PLACES = 4
PRICE_DIGITS = 12
"""Digits of a bid or of a click's cost, the places included: up to 99,999,999.9999."""
BUDGET_DIGITS = 18
