"""The four stages (select, train, evaluate, report): each reads artifacts, calls one contract, writes an artifact."""
