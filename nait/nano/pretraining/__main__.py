"""`python -m nait.nano.pretraining`: pretrain the embedded model, or check that pretraining is reproducible."""

from __future__ import annotations

from nait.nano.pretraining.pretrain import main

if __name__ == "__main__":
    main()
