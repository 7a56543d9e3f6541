"""Speed, as ratios measured side by side in one run. Each module prints one JSON line."""
