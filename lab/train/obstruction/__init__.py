"""The network of `workers.face.obstruction_check`: where a face is hidden, learnt from portraits with drawn objects."""
