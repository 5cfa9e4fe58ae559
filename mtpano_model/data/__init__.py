"""Data sets, unlabelled panoramas and the label store, each with its reader."""
