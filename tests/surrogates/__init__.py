import autopeft.surrogates  # noqa: F401  imports BoTorch without its warnings, which would be errors
