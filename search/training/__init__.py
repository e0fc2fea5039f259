"""Training one trial, in a child process that alone loads TensorFlow.

`process` is the worker's side and `trainer` the child's; `protocol` is what they say.
"""
