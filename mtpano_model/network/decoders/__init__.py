"""Decoders: the injected taps of one task -> its map."""
