"""What to try first: facts of the data and a measured cost in, ranked strategies with reasons
out.
"""
