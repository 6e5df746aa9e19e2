"""All that is too long for every commit, part by part, with a table and a file of what was proven."""
