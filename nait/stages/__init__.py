"""The four stages: each reads an artifact, calls one contract, writes an artifact."""
