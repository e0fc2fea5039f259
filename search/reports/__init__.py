"""Reports of a study: gather its facts once, then write page, notebook, data and model.

Text and figures are made in `analysis.report`.
"""
