"""Sources of panoramas: one image or video topic, or the lenses of a rig."""
