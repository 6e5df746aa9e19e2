"""Who changes which replica stands where: upgrade and replacement are one loop towards one desired state."""
