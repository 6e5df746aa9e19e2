"""What people look at: a run's record as a page that moves, and as reports in the formats that others read."""
