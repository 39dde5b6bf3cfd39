"""Speech: audio as frames with acoustic states."""
