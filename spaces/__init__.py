"""Search spaces and the networks of their configs.

Names are loaded on first use, and Keras once a network is built: commands start at once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
