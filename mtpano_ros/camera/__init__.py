"""Taking camera images: the thread that takes them, raw and compressed messages."""
