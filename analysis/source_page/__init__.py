"""The page of a source of images: facts in, a single HTML file out, in English.

Facts are gathered in `search.reports`. Style, scripts and templates are those of the report.
"""
