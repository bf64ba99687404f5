"""The data path, one module per arrow."""
