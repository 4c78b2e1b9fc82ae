"""Signals: a tracked face becomes traces; filters, spectra and beats of any wave."""
