"""The clip store: storage, encryption, upload writers, multipart cleanup."""
