"""The gateway: receives clips over HTTP and serves job documents. It imports no vision package."""
