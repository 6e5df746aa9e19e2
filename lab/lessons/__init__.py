"""The workshop: lessons that a participant works through by editing real files, graded by the oracle."""
