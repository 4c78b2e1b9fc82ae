"""Validation of the whole product on recordings of people: `facevitals validate`."""
