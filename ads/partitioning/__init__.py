"""`ads_click` by months: the plain table becomes a partitioned one while it is in use, and is tended afterwards.

The model and the consumer stay as they are; only the table behind them changes. See docs/capacity.md for what the other
key means. Each module plans, as SQL that can be shown as well as run: `convert` the change, `upkeep` the months to come
and those to drop, `undo` the way back.
"""
