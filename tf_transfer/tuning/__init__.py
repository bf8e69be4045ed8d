"""The search for better strategies: spaces, validation, early stopping and the bridge to
keras-tuner.
"""
