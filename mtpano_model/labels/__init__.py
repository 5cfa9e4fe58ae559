"""The label-free engine: from plain panoramas to pseudo-labels (arXiv 2602.05330, section 3).

panorama -> random perspective patches -> teachers -> back onto the sphere -> merged -> store.
"""
