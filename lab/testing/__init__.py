"""Stand-ins for the real parts, held to the same contracts: for the lab's own tests and for its users'."""
