"""PEFT methods: what they are (`registry`), what they cost (`counting`), and how they get onto a model (`compose`, `checkpoint`).

Nothing is imported here, so that what needs no torch can be used without it.
"""
