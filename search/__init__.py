"""The service: settings, data, training, workers, launchers and the command line."""
