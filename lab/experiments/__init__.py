"""Many runs to one end: a run again, the fewest strikes that break it, matrices of faults and deaths, ways compared."""
