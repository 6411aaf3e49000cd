"""Optuna proposes the trials and is told how they ended."""
