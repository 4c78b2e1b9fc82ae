"""Face tracking: mesh, skin regions, crops, portraits, patches, and the checks on them."""
