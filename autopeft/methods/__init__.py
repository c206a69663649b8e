"""PEFT methods: what they are (`registry`), what they cost (`counting`), and how they get onto a model (`compose`, `checkpoint`).

Nothing is imported here that needs torch, so that what needs none can be used without it.
"""

import logging

# Peft imports bitsandbytes wherever that is installed. On processors that multiply bfloat16 it warns then that a package for its
# four-bit products is missing, in searches that have none: they are as right without it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
