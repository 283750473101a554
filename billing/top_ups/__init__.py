"""Credits that are bought by themselves when they run low: off unless somebody wants it so.

One purchase at a time, no more a month than was said, with a saved card; the first refusal ends it.
"""
