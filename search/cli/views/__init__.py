"""Terminal output of commands: live progress, tables and closing lines.

The values shown are computed in `analysis` and in the other sub-packages of `search`.
"""
