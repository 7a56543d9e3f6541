"""`python -m nait.nano.pretraining`: pretrain the embedded model again, or check that it can be repeated."""

from __future__ import annotations

from nait.nano.pretraining.pretrain import main

if __name__ == "__main__":
    main()
