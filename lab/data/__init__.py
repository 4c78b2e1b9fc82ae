"""Datasets: recordings with a contact pulse, labelled portraits, and simulated clips to calibrate and measure on."""
