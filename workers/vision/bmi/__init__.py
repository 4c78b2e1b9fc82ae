"""Body-mass index from the face."""
