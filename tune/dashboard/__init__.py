"""A sweep's study in optuna-dashboard, as a view that writes nothing."""
