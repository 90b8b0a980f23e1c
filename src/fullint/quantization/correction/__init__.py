"""Corrections: closed-form changes of weights and biases that make up for rounding, one file
each.
"""
