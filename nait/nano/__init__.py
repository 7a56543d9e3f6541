"""The embedded offline world: procedural instruction data with ground truth, and a tiny pretrained model.

`world` makes the data; `pretraining` makes the model, and its `probe` measures both.
"""
