"""Who changes which replica stands where: upgrade and replacement are one loop over one wish."""
