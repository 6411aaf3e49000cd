"""Trackers show runs in programs beside this one: TensorBoard, MLflow, Weights & Biases.

`named/` has one module for each; nothing here imports one of those programs before it is used.
"""
