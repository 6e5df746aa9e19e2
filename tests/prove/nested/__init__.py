"""The lab on engines as they are elsewhere: other versions and kinds, in containers, from Debian's packages.

`python -m tests.prove.nested [ROW ...]`: a table, and a line of figures for each row; 1 where one did not hold.
"""
