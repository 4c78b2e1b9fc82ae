"""A tracked face becomes traces; what is done to any wave: filters, spectra, beats."""
