"""What a config costs before it is built: parameters, memory, operations, and their limits.

Costs of backbones are in `spaces.models.backbones`.
"""
