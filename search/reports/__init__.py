"""Reports of a study: gather its facts once, then write page, notebook, data and model.

How facts become text and figures is in `analysis.report`.
"""
