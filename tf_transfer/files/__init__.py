"""Files that are whole or absent, that vanish with their process, that others wrote; other
programs.
"""
