"""How far judging goes: records of 10^7 and 10^8 operations, made by a generator and judged by `lab check` itself."""
