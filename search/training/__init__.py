"""The trainer's child process, the only one that loads TensorFlow: phases, checkpoints, Grad-CAM.

The worker's side of it and the messages between them are in `search.trainer`.
"""
