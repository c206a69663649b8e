"""autopeft finds the parameter-efficient fine-tuning configuration for your model, your data and your budget."""

__version__ = "0.1.0"
