"""The network of `workers.face.obstruction`: where a face is hidden, learnt from portraits with objects drawn on."""
