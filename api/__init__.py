"""The gateway. HTTP in, job documents out. Knows no vision package."""
