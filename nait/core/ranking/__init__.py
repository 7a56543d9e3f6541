"""From scores to selected rows: score tables, orders, budgets, selections and their ground truth."""
