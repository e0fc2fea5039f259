"""Pages of results: the report of a study, with notebook, data and model, and that of a source.

Facts are gathered here, once. Text and figures are made in `analysis.report` and `source_page`.
"""
