"""The Python interface: `nait.select` and the parts that it is made of, under stable names."""
