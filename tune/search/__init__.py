"""Optuna: the study, its samplers, and the searcher that connects it to Tune."""
