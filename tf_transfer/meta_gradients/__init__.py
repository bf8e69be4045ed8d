"""Gradients through training: fast weights, inner loops, the memory they take, gradients held
against differences.
"""
