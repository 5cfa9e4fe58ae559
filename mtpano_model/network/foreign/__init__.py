"""Weights of others: their files, and what their tensors are called in our networks."""
