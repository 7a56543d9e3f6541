"""The embedded offline world: procedural instruction data with known truth, and a tiny pretrained model.

`world` makes the data, `documents` the pretraining text, `pretrain` the model, `probe` measures both.
"""
