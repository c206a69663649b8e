"""Which trials go on and which stop, from partial measurements of several objectives."""
