"""The report on a study: its facts as data, then as figures, tables, a page and a notebook.

The facts are gathered by `search.reports`; statistics are in `analysis.results`.
"""
