"""Pretrained encoders, in and out; what of them stays as it is; repeatable dropout, exact second
derivatives.
"""
