"""Decodes video streams that arrive packet by packet over a lossy link, without torch or ROS."""
