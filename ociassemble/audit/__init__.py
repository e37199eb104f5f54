"""What is in an image, and whether it can start: told before it is pushed, not by a container that dies."""
