"""Third-party weights: reading their files, and the names of their tensors in our networks."""
