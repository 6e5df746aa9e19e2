"""A crowd in several processes, wherever they are: each has its share of the accounts, and one of them merges what all
of them did into the run's one record.

All devices of an account live in one worker, so that the order of what they did is by one clock. What crosses accounts
is judged by values alone.
"""
