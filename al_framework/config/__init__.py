"""Read and check the user's file."""
