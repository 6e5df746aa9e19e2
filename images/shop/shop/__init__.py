"""A stateless web shop: whatever a user may not lose lives in the store, so any replica can answer any request."""
