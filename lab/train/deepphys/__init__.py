"""DeepPhys of our own: faces, crops that pulse, the network, and how it learns."""
