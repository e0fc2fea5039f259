"""optuna-dashboard made safe, fast and telling."""
