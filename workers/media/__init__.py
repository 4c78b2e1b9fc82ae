"""An upload becomes frames with true times, within budgets."""
