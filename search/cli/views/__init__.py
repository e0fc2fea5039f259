"""What commands show on a terminal: live progress, tables and closing lines.

The values shown come from `analysis` and from the rooms that do the work.
"""
