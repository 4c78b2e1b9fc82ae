"""Body-mass index from the face: by a trained network, or by the face's proportions."""
