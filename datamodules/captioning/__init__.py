"""Image captions: pictures as vectors, with their captions."""
