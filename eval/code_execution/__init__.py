"""Generated code: programs run in limited processes without a network, and scored by the tests that they pass."""
