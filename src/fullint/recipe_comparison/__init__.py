"""Recipes at several bit widths, measured alike: what `fullint compare` does.

Every cell of the grid runs in a process of its own, so that its memory and its failure are its own,
and leaves one JSON file, so that an interrupted comparison goes on where it was.
"""
