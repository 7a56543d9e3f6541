"""Speed benchmarks: ratios of alternatives measured in the same run. Each module prints one JSON line."""
