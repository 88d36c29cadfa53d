"""The viewer as a process."""
