"""The dashboard's server: its socket and token; `analysis.dashboard` makes its pages."""
