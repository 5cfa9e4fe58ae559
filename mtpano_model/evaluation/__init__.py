"""Measuring a model: reports, the rotation study and the ablation."""
