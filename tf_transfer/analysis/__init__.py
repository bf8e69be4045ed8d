"""What the predictions of a `Comparison` say beyond its verdicts: one question a module, tables as
answers.
"""
